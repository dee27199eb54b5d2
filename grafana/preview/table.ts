// Answers of a table panel -> the rows and columns that Grafana's transformations merge and organize make of them.

import type { Series } from '../../test/support/prometheus/prometheus-server.ts'
import type { Panel, Property } from './model.ts'

export interface TableColumn {
  readonly title: string
  readonly properties: ReadonlyMap<string, unknown>
}

export interface Table {
  readonly columns: readonly TableColumn[]
  /** A number for a value, a text for a label, undefined where there is neither. */
  readonly rows: readonly (readonly (string | number | undefined)[])[]
}

interface Organize {
  readonly excludeByName: Readonly<Record<string, boolean>>
  readonly indexByName: Readonly<Record<string, number>>
  readonly renameByName: Readonly<Record<string, string>>
}

type Row = Readonly<Record<string, string | number>>

/** `answers` in the order of the panel's targets. */
export function makeTable(panel: Panel, answers: readonly (readonly Series[])[]): Table {
  const frames = answers.map((series, index) => toFrame(series, index, answers.length))
  const rows = mergeFrames(frames)
  const organize = panel.transformations?.find(({ id }) => id === 'organize')?.options as Organize
  const present = new Set(rows.flatMap((row) => Object.keys(row)))
  const fields = Object.entries(organize.indexByName)
    .sort(([, a], [, b]) => a - b)
    .map(([field]) => field)
  const strays = [...present].filter((field) => !fields.includes(field))
  const shown = [...fields, ...strays].filter(
    (field) => present.has(field) && organize.excludeByName[field] !== true,
  )
  const columns = shown.map((field) => describeColumn(panel, organize.renameByName[field] ?? field))
  const visible = shown
    .map((field, index) => ({ field, column: columns[index] }))
    .filter(({ column }) => column?.properties.get('custom.hidden') !== true)
  const table = {
    columns: visible.flatMap(({ column }) => column ?? []),
    rows: rows.map((row) => visible.map(({ field }) => row[field])),
  }
  return sortTable(table, panel)
}

function toFrame(series: readonly Series[], index: number, count: number): readonly Row[] {
  const name = count === 1 ? 'Value' : `Value #${String.fromCharCode(65 + index)}`
  return series.map(({ metric, points }) => ({ ...metric, [name]: Number(points.at(-1)?.[1]) }))
}

// Rows with the same values in the fields that all frames share become one, as long as they do not contradict each other.
function mergeFrames(frames: readonly (readonly Row[])[]): readonly Row[] {
  const filled = frames.filter((frame) => frame.length > 0)
  const names = filled.map((frame) => new Set(frame.flatMap((row) => Object.keys(row))))
  const shared = [...(names[0] ?? [])].filter((name) => names.every((others) => others.has(name)))
  const merged = new Map<string, Row[]>()
  for (const row of filled.flat()) {
    const key = JSON.stringify(shared.map((name) => row[name]))
    const candidates = merged.get(key) ?? []
    merged.set(key, candidates)
    const index = candidates.findIndex((other) =>
      Object.entries(row).every(([name, value]) => (other[name] ?? value) === value),
    )
    if (index < 0) candidates.push(row)
    else candidates[index] = { ...candidates[index], ...row }
  }
  return [...merged.values()].flat()
}

function describeColumn(panel: Panel, title: string): TableColumn {
  const properties: readonly Property[] =
    panel.fieldConfig?.overrides.find(({ matcher }) => matcher.options === title)?.properties ?? []
  return { title, properties: new Map(properties.map(({ id, value }) => [id, value])) }
}

function sortTable({ columns, rows }: Table, panel: Panel): Table {
  const sortBy = (panel.options?.sortBy ?? []) as readonly { displayName: string; desc: boolean }[]
  const keys = sortBy.map(({ displayName, desc }) => ({
    index: columns.findIndex(({ title }) => title === displayName),
    sign: desc ? -1 : 1,
  }))
  const sorted = [...rows].sort((a, b) => {
    for (const { index, sign } of keys) {
      const order = compare(a[index], b[index])
      if (order !== 0) return order * sign
    }
    return 0
  })
  return { columns, rows: sorted }
}

function compare(a: string | number | undefined, b: string | number | undefined): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  if (a === undefined || b === undefined) return Number(b === undefined) - Number(a === undefined)
  return String(a).localeCompare(String(b), 'en', { numeric: true })
}
