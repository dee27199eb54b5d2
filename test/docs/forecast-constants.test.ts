// The table of the forecast's constants: a row for each that the sources have, with its value.

import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { listConstants } from '../bench/forecast/source-constants.ts'

const PAGE = join(import.meta.dirname, '../../docs/development/forecast.md')
const [, table = ''] = readFileSync(PAGE, 'utf8').split('\n## Constants\n')
const rows = [...table.matchAll(/^\| (.*) \|$/gm)].slice(2).map(([, row = '']) => row.split(' | '))

test('Each constant of the forecast has a row with its value, and each row its constant', () => {
  const constants = listConstants().map(({ file, names, numbers }) => [
    names,
    basename(file),
    ...numbers,
  ])
  expect(constants.length).toBeGreaterThan(50)
  const told = rows.map(([names, file, value = '']) => [names, file, ...readNumbers(value)])
  expect(sort(told)).toEqual(sort(constants))
})

test('Each row says what the constant is for, and what happens when it is doubled', () => {
  expect(
    rows.filter((cells) => cells.length !== 5 || cells.some((cell) => cell.trim() === '')),
  ).toEqual([])
})

/** "5 %" is 0.05, "3,600 s" is 3600. */
function readNumbers(value: string): readonly number[] {
  return [...value.matchAll(/(\d[\d,]*(?:\.\d+)?)( %)?/g)].map(([, digits = '', percent]) => {
    const number = Number(digits.replaceAll(',', ''))
    return percent === undefined ? number : Number((number / 100).toPrecision(12))
  })
}

function sort(parts: readonly (readonly unknown[])[]): readonly string[] {
  return parts.map((part) => part.join(' ')).sort()
}
