import { expect, test } from 'vitest'
import { families } from '../../src/metrics/families.ts'
import { renderMetricTable } from '../../src/metrics/table.ts'

test('renderMetricTable() has one row of four cells a family', () => {
  const lines = renderMetricTable().trimEnd().split('\n')
  expect(lines.slice(0, 2)).toEqual([
    '| name | type | labels | help |',
    '| --- | --- | --- | --- |',
  ])
  const rows = lines.slice(2).map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()))
  expect(rows.map((cells) => cells[1])).toEqual(families.map(({ name }) => `\`${name}\``))
  for (const cells of rows) expect(cells).toHaveLength(6)
})

test('renderMetricTable() renders a row as Markdown, markup escaped', () => {
  const table = renderMetricTable()
  expect(table).toContain(
    '| `ephemeral_port_blocked_ports` | gauge | `netns`, `holder` | Usable ports closed to every',
  )
  expect(table).toContain('| `ephemeral_port_samples_total` | counter |  | Samples taken since')
  expect(table).toContain('to join with: \\* on (cluster')
})
