// A dashboard and its answers -> one HTML page in Grafana's grid, with every panel's title, description and data. It is not Grafana:
// it shows what is asked and what comes back, so that layout and contents can be looked at without one.

import type { Series, Span } from '../../test/support/prometheus/prometheus-server.ts'
import { type Line, renderChart } from './chart.ts'
import { colorOf, escapeText, formatValue, legendOf, thresholdColor } from './format.ts'
import type { Dashboard, FieldOptions, Panel } from './model.ts'
import { makeTable, type TableColumn } from './table.ts'

export interface PageOptions {
  readonly span: Span
  /** By panel id, in the order of its targets. */
  readonly answers: ReadonlyMap<number, readonly (readonly Series[])[]>
  /** Values of the variables as the head shows them. */
  readonly chosen: Readonly<Record<string, string>>
  readonly caption: string
}

const WIDTH = 1600
const COLUMN = WIDTH / 24
const ROW = 38
const HEAD = 30

/** Folded rows are shown unfolded, at the end. */
export function renderPage(dashboard: Dashboard, options: PageOptions): string {
  let shift = 0
  const blocks: string[] = []
  let bottom = 0
  for (const panel of dashboard.panels) {
    blocks.push(renderPanel(panel, shift, options))
    bottom = Math.max(bottom, panel.gridPos.y + panel.gridPos.h + shift)
    const inner = panel.panels ?? []
    if (inner.length === 0) continue
    const lowest = Math.min(...inner.map(({ gridPos }) => gridPos.y))
    const own = panel.gridPos.y + shift + 1 - lowest
    for (const one of inner) blocks.push(renderPanel(one, own, options))
    const height = Math.max(...inner.map(({ gridPos }) => gridPos.y + gridPos.h)) - lowest
    shift += height
    bottom = Math.max(bottom, panel.gridPos.y + 1 + shift)
  }
  const variables = Object.entries(options.chosen).map(
    ([name, value]) => `<span class="variable"><b>${name}</b> ${escapeText(value)}</span>`,
  )
  return `<!doctype html><meta charset="utf-8"><title>${escapeText(dashboard.title)}</title><style>${STYLE}</style>
<header><h1>${escapeText(dashboard.title)}</h1>${variables.join('')}<em>${escapeText(options.caption)}</em></header>
<main style="height:${bottom * ROW}px">${blocks.join('\n')}</main>`
}

function renderPanel(panel: Panel, shift: number, options: PageOptions): string {
  const { x, y, w, h } = panel.gridPos
  const style = `left:${x * COLUMN}px;top:${(y + shift) * ROW}px;width:${w * COLUMN - 8}px;height:${h * ROW - 8}px`
  if (panel.type === 'row') {
    const title = Object.entries(options.chosen).reduce(
      (text, [name, value]) => text.replaceAll(`$${name}`, value),
      panel.title,
    )
    return `<h2 style="${style}">${escapeText(title)}${panel.collapsed ? ' <small>(folded in Grafana)</small>' : ''}</h2>`
  }
  const answers = options.answers.get(panel.id) ?? []
  const box = { width: w * COLUMN - 28, height: h * ROW - 8 - HEAD - 14 }
  return `<section style="${style}"><h3 title="${escapeText(panel.description ?? '')}">${escapeText(panel.title)}</h3><p>${escapeText(panel.description ?? '')}</p>${renderBody(panel, answers, options.span, box)}</section>`
}

function renderBody(
  panel: Panel,
  answers: readonly (readonly Series[])[],
  span: Span,
  box: { readonly width: number; readonly height: number },
): string {
  if (answers.every((series) => series.length === 0)) {
    const text = panel.fieldConfig?.defaults.noValue ?? 'No data'
    return `<div class="none">${escapeText(text)}</div>`
  }
  if (panel.type === 'table') return renderTable(panel, answers)
  const lines = toLines(panel, answers)
  if (panel.type === 'timeseries') return renderChart(panel, lines, { span, box })
  const defaults: FieldOptions = panel.fieldConfig?.defaults ?? {}
  const items = lines.map(({ name, points }) => ({ name, value: points.at(-1)?.[1] ?? Number.NaN }))
  return panel.type === 'bargauge' ? renderBars(items, panel) : renderStats(items, defaults)
}

function toLines(panel: Panel, answers: readonly (readonly Series[])[]): readonly Line[] {
  return answers.flatMap((series, index) =>
    series.map(({ metric, points }) => ({
      name: legendOf(panel.targets?.[index]?.legendFormat, metric),
      points: points.map(([seconds, value]) => [seconds, Number(value)] as const),
    })),
  )
}

interface Item {
  readonly name: string
  readonly value: number
}

function renderStats(items: readonly Item[], options: FieldOptions): string {
  const cells = items.map(({ name, value }) => {
    const mapped = options.mappings?.[0]?.options[`${value}`]?.color
    const color = colorOf(mapped) ?? thresholdColor(value, options.thresholds?.steps)
    const label = items.length > 1 ? `<small>${escapeText(name)}</small>` : ''
    return `<div class="stat${items.length > 1 ? ' many' : ''}" style="color:${color}">${label}${escapeText(formatValue(value, options))}</div>`
  })
  return `<div class="stats">${cells.join('')}</div>`
}

function renderBars(items: readonly Item[], { fieldConfig }: Panel): string {
  const options: FieldOptions = fieldConfig?.defaults ?? {}
  const top = options.max ?? Math.max(...items.map(({ value }) => value), 1e-9)
  const rows = items.map(({ name, value }) => {
    const own = fieldConfig?.overrides.find(({ matcher }) => matcher.options === name)
    const fixed = own?.properties.find(({ id }) => id === 'color')?.value as
      | { readonly fixedColor?: string }
      | undefined
    const color =
      colorOf(fixed?.fixedColor) ?? thresholdColor(value, options.thresholds?.steps) ?? '#888'
    return `<tr><td>${escapeText(name)}</td><td class="bar"><i style="width:${(100 * value) / top}%;background:${color}"></i></td><td>${escapeText(formatValue(value, options))}</td></tr>`
  })
  return `<table class="bars">${rows.join('')}</table>`
}

function renderTable(panel: Panel, answers: readonly (readonly Series[])[]): string {
  const { columns, rows } = makeTable(panel, answers)
  const head = columns.map(({ title, properties }) => {
    const width = properties.get('custom.width')
    return `<th${width === undefined ? '' : ` style="width:${width}px"`}>${escapeText(title)}</th>`
  })
  const body = rows.map(
    (row) => `<tr>${columns.map((column, index) => renderCell(column, row[index])).join('')}</tr>`,
  )
  return `<table class="data"><tr>${head.join('')}</tr>${body.join('')}</table>`
}

function renderCell({ properties }: TableColumn, value: string | number | undefined): string {
  if (value === undefined) return '<td></td>'
  const options: FieldOptions = Object.fromEntries(properties)
  const look = (properties.get('custom.cellOptions') as { type?: string } | undefined)?.type
  const link = properties.has('links') ? ' class="link"' : ''
  if (typeof value === 'string') {
    const color = colorOf(options.mappings?.[0]?.options[value]?.color)
    return `<td${link}${color === undefined ? '' : ` style="color:${color}"`}>${escapeText(value)}</td>`
  }
  const color =
    colorOf(options.mappings?.[0]?.options[`${value}`]?.color) ??
    thresholdColor(value, options.thresholds?.steps) ??
    'inherit'
  const text = escapeText(formatValue(value, options))
  if (look === 'gauge') {
    return `<td class="bar"><i style="width:${Math.min(100, value * 100)}%;background:${color}"></i><span>${text}</span></td>`
  }
  return `<td class="number" style="color:${look === undefined ? 'inherit' : color}">${text}</td>`
}

const STYLE = `
body{margin:0;padding:12px;width:${WIDTH}px;background:#f4f5f5;font:13px system-ui,sans-serif;color:#24292e}
header{margin-bottom:10px}h1{font-size:19px;display:inline;margin-right:18px}header em{display:block;margin-top:6px;color:#6a737d}
.variable{border:1px solid #ccc;background:#fff;padding:3px 7px;margin-right:6px;border-radius:2px}
main{position:relative}section,h2{position:absolute;box-sizing:border-box}
section{background:#fff;border:1px solid #dcdfe2;padding:6px 10px;overflow:hidden}
h2{font-size:15px;margin:0;padding-top:8px}h3{font-size:13px;margin:0 0 1px}
section p{margin:0 0 3px;color:#6a737d;font-size:11px;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.none{color:#8e959c;text-align:center;padding-top:24px;font-size:16px}
.stats{display:flex;flex-direction:column;justify-content:space-around}
.stat{font-size:34px;font-weight:600;text-align:center;padding-top:14px}.stat.many{font-size:24px;padding-top:6px}
.stat small{display:block;font-size:12px;font-weight:400;color:#6a737d}
table{border-collapse:collapse;width:100%}td,th{padding:2px 6px;text-align:left;white-space:nowrap;overflow:hidden;text-overflow:ellipsis;max-width:330px}
.data td,.data th{border-bottom:1px solid #eceeef}.number{text-align:right}
.legend td+td,.legend th+th{text-align:right;width:70px}.legend{font-size:12px;table-layout:fixed}.legend td,.legend th{padding:0 6px;height:18px}
.legend i{display:inline-block;width:12px;height:4px;margin-right:6px;vertical-align:middle}
.bars{margin-top:10px}.bars td{padding:5px 6px}.bars td:last-child{text-align:right;font-weight:600}
.bar{position:relative;width:50%;min-width:90px}.bar i{position:absolute;left:4px;top:4px;bottom:4px;opacity:.75}.bar span{position:relative;left:6px}
.link{color:#1f60c4;text-decoration:underline}
.grid{stroke:#e9ebec}.tick{font-size:11px;fill:#6a737d}.middle{text-anchor:middle}.end{text-anchor:end}
`
