// YAML file -> options as given, unparsed. Pure but for loading the parser, which only a named file costs. Keys are the
// flags' names, flat (`sample.interval: 5s`) or nested at the dots; both may be mixed. A name that is both an option
// and a group is the group where it has keys below it (`netns: { max: 100 }`).

import {
  type Given,
  isOptionName,
  type OptionName,
  optionNames,
  optionOf,
  type SourceText,
} from './options.ts'
import { quote, suggest } from './problem.ts'
import type { Field, Tree } from './yaml-tree.ts'

/** `path` is for the words of problems. */
export async function parseConfigFile(text: string, path: string): Promise<SourceText> {
  const { parseYamlTree } = await import('./yaml-tree.ts')
  // No option is a secret, so the parser may say what it has stumbled over.
  const parsed = parseYamlTree(text, path, ({ message }) => message)
  if ('problems' in parsed) return { given: [], problems: parsed.problems }
  const given = new Map<OptionName, Given>()
  const problems: string[] = []
  const { tree } = parsed
  if (tree.kind === 'map') readMap(tree.fields, '')
  else if (tree.kind !== 'text' || tree.text !== '')
    problems.push(`Cannot use ${tree.where}: expected options as "name: value"`)
  return { given: [...given.values()], problems }

  function readMap(fields: readonly Field[], prefix: string): void {
    for (const { name: key, where, value } of fields) {
      const name = prefix + (key || '?')
      const isGroup = optionNames.some((option) => option.startsWith(`${name}.`))
      if (isOptionName(name) && !(isGroup && value.kind === 'map')) readOption(name, value, where)
      else if (!isGroup) {
        problems.push(`Unknown key ${quote(name)} (${where})${suggest(name, optionNames)}`)
      } else if (value.kind === 'map') readMap(value.fields, `${name}.`)
      else
        problems.push(
          `Cannot use ${name} (${where}): expected a group of options, ${listGroup(name)}`,
        )
    }
  }

  function readOption(name: OptionName, value: Tree, where: string): void {
    const {
      flagOnly,
      repeatable,
      value: { allowed },
    } = optionOf(name)
    const origin = `${name} (${where})`
    const before = given.get(name)
    const items = value.kind === 'list' && repeatable ? value.items : [value]
    const texts = items.map((item) => (item.kind === 'text' ? item.text : undefined))
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
