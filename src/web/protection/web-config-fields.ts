// One group of keys of a web configuration file, read key by key. Problems gather in a list that is passed in, name key
// and line, and quote a value only where it cannot be a secret. Pure.

import { quote, suggest } from '../../config/problem.ts'
import type { Field, Tree } from '../../config/yaml-tree.ts'

/** Undefined for a key that is not there. */
export type Fields<K extends string> = (key: K) => Field | undefined

export interface Item {
  readonly text: string
  readonly where: string
}

/** `group` is undefined for the file as a whole. A group that is left empty has no keys. */
export function readFields<K extends string>(
  tree: Tree,
  { group, keys }: { readonly group?: string; readonly keys: readonly K[] },
  problems: string[],
): Fields<K> {
  const fields = tree.kind === 'map' ? tree.fields : []
  if (tree.kind !== 'map' && !isEmpty(tree)) {
    const subject = group === undefined ? tree.where : `${group} (${tree.where})`
    problems.push(`Cannot use ${subject}: expected ${list(keys)}, each as "name: value"`)
  }
  for (const { name, where } of fields) {
    if (keys.some((key) => key === name)) continue
    // A key that does not look like one may be a secret on the wrong line.
    const known = /^[A-Za-z][A-Za-z0-9_-]{0,39}$/.test(name)
    const hint = suggest(name, keys, { otherwise: `expected ${list(keys)}` })
    problems.push(`Unknown key ${known ? `${quote(name)} ` : ''}(${where})${hint}`)
  }
  return (key) => fields.find(({ name }) => name === key)
}

export function isEmpty(tree: Tree): boolean {
  return tree.kind === 'text' && tree.text === ''
}

/** Undefined where nothing, or an empty text, is given. */
export function readText(
  field: Field | undefined,
  expected: string,
  problems: string[],
): string | undefined {
  if (field === undefined || isEmpty(field.value)) return undefined
  if (field.value.kind === 'text') return field.value.text
  problems.push(`Cannot use ${field.name} (${field.where}): expected ${expected}`)
  return undefined
}

/** What the name stands for. */
export function readName<T>(
  field: Field | undefined,
  names: ReadonlyMap<string, T>,
  problems: string[],
): T | undefined {
  const expected = list([...names.keys()])
  const name = readText(field, expected, problems)
  if (name === undefined || field === undefined) return undefined
  const value = names.get(name)
  if (value === undefined) {
    problems.push(
      `Cannot use ${quote(name)} for ${field.name} (${field.where}): expected ${expected}`,
    )
  }
  return value
}

/** Switches as YAML 1.1 has them, which the exporter-toolkit reads. */
const ON = /^(?:y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON)$/
const OFF = /^(?:n|N|no|No|NO|false|False|FALSE|off|Off|OFF)$/

export function readSwitch(field: Field | undefined, problems: string[]): boolean | undefined {
  const text = readText(field, 'true or false', problems)
  if (text === undefined || field === undefined) return undefined
  if (ON.test(text) || OFF.test(text)) return ON.test(text)
  problems.push(
    `Cannot use ${quote(text)} for ${field.name} (${field.where}): expected true or false`,
  )
  return undefined
}

/** Undefined where nothing is given; a list without items is a problem. */
export function readItems(
  field: Field | undefined,
  expected: string,
  problems: string[],
): readonly Item[] | undefined {
  if (field === undefined || isEmpty(field.value)) return undefined
  const items = field.value.kind === 'list' ? field.value.items : []
  const texts = items.filter((item) => item.kind === 'text' && item.text !== '')
  if (items.length === 0 || texts.length < items.length) {
    problems.push(`Cannot use ${field.name} (${field.where}): expected a list of ${expected}`)
  }
  return texts.flatMap((item) => (item.kind === 'text' ? [item] : []))
}

/** a, b or c */
export function list(words: readonly string[]): string {
  return words.length < 2
    ? words.join('')
    : `${words.slice(0, -1).join(', ')} or ${words[words.length - 1]}`
}
