// The constants of the forecast as its sources have them: file -> names and numbers. What doubles them, and what compares the
// table of docs/development/forecast.md with them, read them here.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const MODEL = join(import.meta.dirname, '../../../src/model')
const LEARNED = 'weights.ts'
/** What the forecast is made of beside its own folder. */
const BESIDE = ['levels.ts', 'pool-history.ts', 'watch.ts']
/** A constant of the module whose definition begins with a number, a sign or a bracket, on one line or on several. */
const CONSTANT =
  /^(?:export )?const (\w+|\[[^\]]+\])(?:: [^=]+)? = ([[{]\n[\s\S]*?\n[\]}]|[-\d[{(](?!.*=>).*)/gm
const NUMBER = /(?<![\w.])\d[\d_]*(?:\.\d+)?/g

export interface SourceConstant {
  /** Path below src/model/. */
  readonly file: string
  /** Several where one list gives each its value. */
  readonly names: string
  /** In their order. */
  readonly numbers: readonly number[]
  /** The whole definition. */
  readonly text: string
}

export function listConstants(): readonly SourceConstant[] {
  const own = readdirSync(join(MODEL, 'forecast'))
    .filter((name) => name !== LEARNED)
    .map((name) => join('forecast', name))
  return [...own, ...BESIDE].sort().flatMap((file) => {
    const source = readFileSync(join(MODEL, file), 'utf8')
    return [...source.matchAll(CONSTANT)].flatMap(([text, names = '', values = '']) => {
      const numbers = values.match(NUMBER) ?? []
      if (numbers.length === 0) return []
      return [{ file, names: names.replace(/^\[|\]$/g, ''), numbers: numbers.map(toNumber), text }]
    })
  })
}

/** The same definition with each of its numbers doubled. */
export function doubleNumbers({ text }: SourceConstant): string {
  const begin = text.indexOf(' = ')
  return (
    text.slice(0, begin) +
    text.slice(begin).replace(NUMBER, (number) => String(2 * toNumber(number)))
  )
}

const toNumber = (text: string) => Number(text.replaceAll('_', ''))
