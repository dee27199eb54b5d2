// YAML file -> options as given, unparsed. Pure but for loading the parser, which only a named file costs.
// Keys are the flags' names, flat (`sample.interval: 5s`) or nested at the dots; both may be mixed.

import type { Node } from 'yaml'
import {
  type Given,
  isOptionName,
  type OptionName,
  optionNames,
  optionOf,
  type SourceText,
} from './options.ts'
import { quote, suggest } from './problem.ts'

/** `path` is for the words of problems. */
export async function parseConfigFile(text: string, path: string): Promise<SourceText> {
  const { isMap, isScalar, isSeq, LineCounter, parseDocument } = await import('yaml')
  const given = new Map<OptionName, Given>()
  const problems: string[] = []
  const lines = new LineCounter()
  const lineAt = (offset: number | undefined) => `${path}:${lines.linePos(offset ?? 0).line || 1}`

  // The failsafe schema leaves every scalar as the text it is written as, like the other sources.
  const document = parseYaml()
  for (const error of document?.errors ?? []) {
    problems.push(`Cannot parse ${lineAt(error.pos[0])}: ${error.message}`)
  }
  if (document === undefined || problems.length > 0) return { given: [], problems }
  const { contents } = document
  if (isMap(contents)) readMap(contents, '')
  else if (contents !== null && !(isScalar(contents) && contents.value === ''))
    problems.push(`Cannot use ${lineAt(0)}: expected options as "name: value"`)
  return { given: [...given.values()], problems }

  function parseYaml() {
    try {
      return parseDocument(text, { schema: 'failsafe', prettyErrors: false, lineCounter: lines })
    } catch (error) {
      // Nesting of thousands of levels overflows the parser's stack.
      problems.push(
        `Cannot parse ${path}: ${error instanceof Error ? error.message : String(error)}`,
      )
      return undefined
    }
  }

  function readMap(map: unknown, prefix: string): void {
    if (!isMap<Node, Node | null>(map)) return
    for (const { key, value } of map.items) {
      const where = lineAt(key.range?.[0])
      const name = prefix + (isScalar(key) ? String(key.value) : '?')
      if (isOptionName(name)) readOption(name, value, where)
      else if (!optionNames.some((option) => option.startsWith(`${name}.`))) {
        problems.push(`Unknown key ${quote(name)} (${where})${suggest(name, optionNames)}`)
      } else if (isMap(value)) readMap(value, `${name}.`)
      else
        problems.push(
          `Cannot use ${name} (${where}): expected a group of options, ${listGroup(name)}`,
        )
    }
  }

  function readOption(name: OptionName, value: Node | null, where: string): void {
    const {
      flagOnly,
      repeatable,
      value: { allowed },
    } = optionOf(name)
    const origin = `${name} (${where})`
    const before = given.get(name)
    const texts = (isSeq<Node>(value) && repeatable ? value.items : [value]).map((item) =>
      isScalar(item) ? String(item.value) : undefined,
    )
    if (flagOnly || name === 'config.file')
      problems.push(`Cannot use ${origin}: a file cannot set it`)
    else if (before !== undefined)
      problems.push(`Cannot use ${origin}: ${before.origin} sets it already`)
    else if (texts.length === 0 || !texts.every((item) => item !== undefined)) {
      problems.push(
        `Cannot use ${origin}: expected ${allowed}${repeatable ? ', or a list of them' : ''}`,
      )
    } else given.set(name, { name, texts, origin })
  }
}

function listGroup(name: string): string {
  return optionNames.filter((option) => option.startsWith(`${name}.`)).join(', ')
}
