// YAML text -> texts, lists and maps with the lines they stand in. Pure.

import { isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'

export type Tree = { readonly where: string } & (
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'list'; readonly items: readonly Tree[] }
  | { readonly kind: 'map'; readonly fields: readonly Field[] }
  /** An alias, or a key that is no text. */
  | { readonly kind: 'other' }
)

export interface Field {
  readonly name: string
  /** Line of the key. */
  readonly where: string
  readonly value: Tree
}

/** Words for the parser's own error. Its message may quote the file, which may hold a secret. */
export type Describe = (error: { readonly code: string; readonly message: string }) => string

/** MULTILINE_IMPLICIT_KEY says enough without quoting the file. */
const describeCode: Describe = ({ code }) =>
  `not valid YAML (${code.toLowerCase().replaceAll('_', ' ')})`

/** `path` is for the words of problems. Empty text is an empty text. */
export function parseYamlTree(
  text: string,
  path: string,
  describe: Describe = describeCode,
): { readonly tree: Tree } | { readonly problems: readonly string[] } {
  const lines = new LineCounter()
  const whereOf = (offset: number | undefined) => `${path}:${lines.linePos(offset ?? 0).line || 1}`
  try {
    // The failsafe schema leaves every scalar as the text it is written as.
    const document = parseDocument(text, {
      schema: 'failsafe',
      prettyErrors: false,
      lineCounter: lines,
    })
    if (document.errors.length > 0) {
      const problems = document.errors.map(
        (error) => `Cannot parse ${whereOf(error.pos[0])}: ${describe(error)}`,
      )
      return { problems: [...new Set(problems)] }
    }
    return { tree: takeTree(document.contents, `${path}:1`) }
  } catch {
    // Nesting of thousands of levels overflows the parser's stack.
    return { problems: [`Cannot parse ${path}: it is nested too deeply`] }
  }

  function takeTree(node: unknown, parent: string): Tree {
    if (node === null) return { kind: 'text', text: '', where: parent }
    if (isScalar(node)) {
      return { kind: 'text', text: String(node.value ?? ''), where: whereOf(node.range?.[0]) }
    }
    if (isSeq(node)) {
      const where = whereOf(node.range?.[0])
      return { kind: 'list', items: node.items.map((item) => takeTree(item, where)), where }
    }
    if (!isMap(node)) return { kind: 'other', where: parent }
    const fields = node.items.map(({ key, value }): Field => {
      const name = isScalar(key) ? String(key.value ?? '') : ''
      const where = isScalar(key) ? whereOf(key.range?.[0]) : parent
      return { name, where, value: takeTree(value, where) }
    })
    return { kind: 'map', fields, where: whereOf(node.range?.[0]) }
  }
}
