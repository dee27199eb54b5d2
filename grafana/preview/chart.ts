// A time series panel's answers -> a simple SVG chart with a legend table, much as Grafana would draw it.

import type { Span } from '../../test/support/prometheus/prometheus-server.ts'
import { colorOf, escapeText, formatValue } from './format.ts'
import type { FieldOptions, Panel } from './model.ts'

export interface Line {
  readonly name: string
  readonly points: readonly (readonly [seconds: number, value: number])[]
}

export interface Box {
  readonly width: number
  readonly height: number
}

const PALETTE = [
  '#56a64b',
  '#f2cc0c',
  '#5794f2',
  '#ff780a',
  '#e02f44',
  '#705da0',
  '#508642',
  '#8ab8ff',
  '#c15c17',
  '#890f02',
  '#0a437c',
  '#96d98d',
]
const LEGEND_ROW = 18
const AXIS_WIDTH = 62
const AXIS_HEIGHT = 18

export function renderChart(
  panel: Panel,
  lines: readonly Line[],
  { span, box }: { readonly span: Span; readonly box: Box },
): string {
  const defaults: FieldOptions = panel.fieldConfig?.defaults ?? {}
  const stacked = defaults.custom?.stacking?.mode === 'normal'
  const dashed = panel.fieldConfig?.overrides
    .filter(({ properties }) => properties.some(({ id }) => id === 'custom.lineStyle'))
    .map(({ matcher }) => new RegExp(matcher.options))
  const isDashed = (name: string) => dashed?.some((pattern) => pattern.test(name)) ?? false
  const ranked = rank(lines)
  const legendRows = Math.min(ranked.length, 6)
  const plot = {
    width: box.width - AXIS_WIDTH - 8,
    height: box.height - AXIS_HEIGHT - 6 - (legendRows + 1) * LEGEND_ROW,
  }
  const stack = stacked ? stackUp(lines.filter(({ name }) => !isDashed(name))) : new Map()
  const top = niceTop(
    Math.max(
      ...lines.flatMap((line) =>
        (stack.get(line.name) ?? line.points).map(([, value]: readonly [number, number]) => value),
      ),
      defaults.max === undefined ? 0 : 1e-9,
      1e-9,
    ),
    defaults.max,
  )
  const x = (seconds: number) =>
    AXIS_WIDTH +
    ((seconds - span.startSeconds) / (span.endSeconds - span.startSeconds)) * plot.width
  const y = (value: number) => 6 + plot.height - (value / top) * plot.height
  const color = (name: string) =>
    fixedColor(panel, name) ??
    PALETTE[lines.findIndex((line) => line.name === name) % PALETTE.length] ??
    '#888'
  const paths = [...lines].reverse().map((line) => {
    const points = stack.get(line.name) ?? line.points
    const path = toPath(points, span.stepSeconds, x, y)
    if (stacked && !isDashed(line.name)) {
      const first = points[0]?.[0] ?? 0
      const last = points.at(-1)?.[0] ?? 0
      return `<path d="${path} L${x(last)},${y(0)} L${x(first)},${y(0)} Z" fill="${color(line.name)}" stroke="white" stroke-width="0.5"/>`
    }
    const dash = isDashed(line.name) ? ' stroke-dasharray="6 4"' : ''
    return `<path d="${path}" fill="none" stroke="${color(line.name)}" stroke-width="${dash === '' ? 1.8 : 1}"${dash}/>`
  })
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const label = formatValue(top * share, defaults)
    const at = y(top * share)
    return `<line x1="${AXIS_WIDTH}" x2="${AXIS_WIDTH + plot.width}" y1="${at}" y2="${at}" class="grid"/><text x="${AXIS_WIDTH - 5}" y="${at + 4}" class="tick end">${escapeText(label)}</text>`
  })
  const times = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const seconds = span.startSeconds + share * (span.endSeconds - span.startSeconds)
    const minutes = Math.round((seconds - span.endSeconds) / 60)
    return `<text x="${x(seconds)}" y="${plot.height + 6 + 14}" class="tick ${share === 1 ? 'end' : 'middle'}">${minutes === 0 ? 'now' : `${minutes} min`}</text>`
  })
  const legend = ranked.slice(0, legendRows).map(({ name, last, max }) => {
    const text = [name, last, max]
    const [label = '', lastText = '', maxText = ''] = text.map((cell) =>
      typeof cell === 'number' ? formatValue(cell, defaults) : `${cell ?? ''}`,
    )
    return `<tr><td><i style="background:${color(name)}"></i>${escapeText(label)}</td><td>${escapeText(lastText)}</td><td>${escapeText(maxText)}</td></tr>`
  })
  const more = ranked.length > legendRows ? `${ranked.length - legendRows} more below` : ''
  return (
    `<svg width="${box.width}" height="${plot.height + AXIS_HEIGHT + 6}">${ticks.join('')}${times.join('')}${paths.join('')}</svg>` +
    `<table class="legend"><tr><th>${more}</th><th>Last</th><th>Max</th></tr>${legend.join('')}</table>`
  )
}

function fixedColor(panel: Panel, name: string): string | undefined {
  const override = panel.fieldConfig?.overrides.find(
    ({ matcher, properties }) =>
      matcher.id === 'byRegexp' &&
      new RegExp(matcher.options).test(name) &&
      properties.some(({ id }) => id === 'color'),
  )
  const value = override?.properties.find(({ id }) => id === 'color')?.value
  return colorOf((value as { readonly fixedColor?: string } | undefined)?.fixedColor)
}

function rank(lines: readonly Line[]) {
  return lines
    .map(({ name, points }) => {
      const values = points.map(([, value]) => value).filter(Number.isFinite)
      return {
        name,
        last: values.at(-1),
        max: values.length === 0 ? undefined : Math.max(...values),
      }
    })
    .sort((a, b) => (b.max ?? 0) - (a.max ?? 0))
}

// From the first line up, as Grafana stacks.
function stackUp(lines: readonly Line[]): Map<string, readonly (readonly [number, number])[]> {
  const sums = new Map<number, number>()
  return new Map(
    lines.map(({ name, points }) => [
      name,
      points.map(([seconds, value]) => {
        const sum = (sums.get(seconds) ?? 0) + value
        sums.set(seconds, sum)
        return [seconds, sum] as const
      }),
    ]),
  )
}

// A gap stays a gap.
function toPath(
  points: readonly (readonly [number, number])[],
  stepSeconds: number,
  x: (seconds: number) => number,
  y: (value: number) => number,
): string {
  let previous = Number.NEGATIVE_INFINITY
  const parts = points.map(([seconds, value]) => {
    const command = seconds - previous > stepSeconds * 1.5 ? 'M' : 'L'
    previous = seconds
    return `${command}${x(seconds).toFixed(1)},${y(value).toFixed(1)}`
  })
  return parts.join(' ')
}

function niceTop(highest: number, limit: number | undefined): number {
  if (limit !== undefined) return limit
  const power = 10 ** Math.floor(Math.log10(highest))
  const nice = [1, 2, 4, 5, 8, 10].find((factor) => factor * power >= highest) ?? 10
  return nice * power
}
