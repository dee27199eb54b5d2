// YAML text -> texts, lists and maps with the lines they stand in. Pure.

import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Scalar,
  visit,
} from 'yaml'

export type Tree = { readonly where: string } & (
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'list'; readonly items: readonly Tree[] }
  | { readonly kind: 'map'; readonly fields: readonly Field[] }
  /** An alias of nothing, or of what it stands in. */
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

/** Nodes that all aliases together may stand for: a few lines of them can stand for billions (billion laughs). */
const MOST_ALIASED = 10_000

/** The words of YAML for nothing, where they stand without quotes. */
const NOTHING = /^(?:~|null|Null|NULL)$/

/**
 * `path` is for the words of problems. Empty text and null are an empty text. Aliases are what they stand for, and
 * merge keys (`<<`) add what a map does not have itself.
 */
export function parseYamlTree(
  text: string,
  path: string,
  describe: Describe = describeCode,
): { readonly tree: Tree } | { readonly problems: readonly string[] } {
  const lines = new LineCounter()
  const whereOf = (offset: number | undefined) => `${path}:${lines.linePos(offset ?? 0).line || 1}`
  let aliased = 0
  const open = new Set<unknown>()
  let targets: ReadonlyMap<unknown, unknown> = new Map()
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
    targets = findTargets(document)
    return { tree: takeTree(document.contents, `${path}:1`, false) }
  } catch {
    // Nesting of thousands of levels overflows the parser's stack.
    const why =
      aliased > MOST_ALIASED ? 'its aliases stand for too much' : 'it is nested too deeply'
    return { problems: [`Cannot parse ${path}: ${why}`] }
  }

  function takeTree(node: unknown, parent: string, isAliased: boolean): Tree {
    if (isAlias(node)) {
      const target = targets.get(node)
      if (open.has(target)) return { kind: 'other', where: parent }
      open.add(target)
      const tree = takeTree(target, parent, true)
      open.delete(target)
      return tree
    }
    if (isAliased && ++aliased > MOST_ALIASED) throw new RangeError('too many aliases')
    if (node === null) return { kind: 'text', text: '', where: parent }
    if (isScalar(node)) {
      return { kind: 'text', text: textOf(node), where: whereOf(node.range?.[0]) }
    }
    if (isSeq(node)) {
      const where = whereOf(node.range?.[0])
      return {
        kind: 'list',
        items: node.items.map((item) => takeTree(item, where, isAliased)),
        where,
      }
    }
    if (!isMap(node)) return { kind: 'other', where: parent }
    const own: Field[] = []
    const merged: Field[] = []
    for (const { key: given, value: below } of node.items) {
      const key = isAlias(given) ? targets.get(given) : given
      const where = isScalar(key) ? whereOf(key.range?.[0]) : parent
      const value = takeTree(below, where, isAliased)
      const isMerge = isScalar(key) && key.value === '<<' && key.type === 'PLAIN'
      const more = isMerge ? mergeOf(value) : undefined
      if (more !== undefined) merged.push(...more)
      else own.push({ name: isScalar(key) ? String(key.value ?? '') : '', where, value })
    }
    return { kind: 'map', fields: addMissing(own, merged), where: whereOf(node.range?.[0]) }
  }
}

function textOf({ value, type }: Scalar): string {
  const text = String(value ?? '')
  return type === 'PLAIN' && NOTHING.test(text) ? '' : text
}

/** What each alias stands for: the last node before it that has its anchor. */
function findTargets(document: Document): ReadonlyMap<unknown, unknown> {
  const anchors = new Map<string, unknown>()
  const targets = new Map<unknown, unknown>()
  visit(document, (_key, node) => {
    if (isAlias(node)) targets.set(node, anchors.get(node.source))
    else if (isNode(node) && node.anchor !== undefined) anchors.set(node.anchor, node)
  })
  return targets
}

/** The fields of a map, or of a list of maps; undefined for anything else (https://yaml.org/type/merge.html). */
function mergeOf(tree: Tree): readonly Field[] | undefined {
  const maps = tree.kind === 'list' ? tree.items : [tree]
  const all = maps.flatMap((map) => (map.kind === 'map' ? [map.fields] : []))
  return all.length === maps.length ? all.flat() : undefined
}

/** A map's own fields win, then the first that is merged. */
function addMissing(own: readonly Field[], merged: readonly Field[]): readonly Field[] {
  const names = new Set(own.map(({ name }) => name))
  const missing = merged.filter(({ name }) => !names.has(name) && names.add(name))
  return [...own, ...missing]
}
