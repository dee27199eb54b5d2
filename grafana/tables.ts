// Table panels: instant queries, joined by their labels, into columns with a unit, a color and a link each.

import {
  BarGaugeDisplayMode,
  TableCellDisplayMode,
  TableSortByFieldStateBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import type { DynamicConfigValue, ValueMapping } from '@grafana/grafana-foundation-sdk/dashboard'
import * as table from '@grafana/grafana-foundation-sdk/table'
import type { DataLink } from './links.ts'
import { furnish, missing, type PanelBuilder, type PanelOptions, refId } from './panels.ts'
import { type Scale, thresholdsOf } from './scales.ts'

export interface Column {
  /** Of a label of the queries; else `value` is given. */
  readonly label?: string
  /** The value of that query, by index. */
  readonly value?: number
  /** The head of the column; a label's own name unless given, since that is what a query needs. */
  readonly title?: string
  readonly unit?: string
  readonly decimals?: number
  readonly scale?: Scale
  readonly look?: 'gauge' | 'color'
  readonly link?: DataLink
  readonly mappings?: readonly ValueMapping[]
  readonly width?: number
  /** Of a column that takes what room is left. */
  readonly minWidth?: number
  /** Needed by a link, and nothing to look at. */
  readonly hidden?: boolean
  /** In grey where a row has no value; empty unless given. */
  readonly missing?: string
}

export interface TableOptions extends PanelOptions {
  /** From left to right. */
  readonly columns: readonly Column[]
  /** Titles of columns; the first counts most. */
  readonly sortBy: readonly (readonly [title: string, order: 'asc' | 'desc'])[]
}

/** NB: every query has to give the same labels, or more of them: merge joins rows by the fields that all have. */
export function tablePanel(options: TableOptions): PanelBuilder {
  const panel = furnish(new table.PanelBuilder(), options, 'table')
    .showHeader(true)
    .filterable(true)
    .sortBy(
      options.sortBy.map(([title, order]) =>
        new TableSortByFieldStateBuilder().displayName(title).desc(order === 'desc'),
      ),
    )
  if (options.queries.length > 1) panel.withTransformation({ id: 'merge', options: {} })
  panel.withTransformation({ id: 'organize', options: organize(options) })
  for (const column of options.columns) {
    panel.overrideByName(titleOf(column), propertiesOf(column))
  }
  return panel
}

export function titleOf(column: Column): string {
  return column.title ?? column.label ?? ''
}

/** As Grafana names the field: a label by its name, a value by its query unless there is only one. */
function fieldOf(column: Column, queries: number): string {
  if (column.label !== undefined) return column.label
  return queries === 1 ? 'Value' : `Value #${refId(column.value ?? 0)}`
}

function organize({ columns, queries }: TableOptions) {
  const shown = columns.map((column) => fieldOf(column, queries.length))
  const values =
    queries.length === 1 ? ['Value'] : queries.map((_, index) => `Value #${refId(index)}`)
  const excluded = ['Time', ...values.filter((field) => !shown.includes(field))]
  return {
    excludeByName: Object.fromEntries(excluded.map((field) => [field, true])),
    indexByName: Object.fromEntries(shown.map((field, index) => [field, index])),
    renameByName: Object.fromEntries(
      columns
        .filter((column) => titleOf(column) !== fieldOf(column, queries.length))
        .map((column) => [fieldOf(column, queries.length), titleOf(column)]),
    ),
  }
}

function propertiesOf(column: Column): DynamicConfigValue[] {
  const properties: DynamicConfigValue[] = []
  const set = (id: string, value: unknown) => properties.push({ id, value })
  // Text has no unit of its own, and would get that of the panel.
  set('unit', column.unit ?? (column.label === undefined ? 'none' : 'string'))
  if (column.decimals !== undefined) set('decimals', column.decimals)
  if (column.scale !== undefined) {
    set('thresholds', thresholdsOf(column.scale).build())
    set('color', { mode: 'thresholds' })
  }
  if (column.look === 'gauge') {
    set('min', 0)
    set('max', 1)
    set('custom.cellOptions', { type: TableCellDisplayMode.Gauge, mode: BarGaugeDisplayMode.Basic })
  }
  if (column.look === 'color') set('custom.cellOptions', { type: TableCellDisplayMode.ColorText })
  if (column.value !== undefined) {
    set('mappings', [...(column.mappings ?? []), missing(column.missing ?? '')])
  }
  if (column.width !== undefined) set('custom.width', column.width)
  if (column.minWidth !== undefined) set('custom.minWidth', column.minWidth)
  if (column.link !== undefined) set('links', [column.link])
  if (column.hidden === true) {
    // The former until Grafana 12, the latter since.
    set('custom.hidden', true)
    set('custom.hideFrom', { viz: true, legend: true, tooltip: true })
  }
  return properties
}
