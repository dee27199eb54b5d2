// Panels as the dashboards use them: title, description, queries and a look -> builder. One place decides how a kind of
// value is shown.

import * as bargauge from '@grafana/grafana-foundation-sdk/bargauge'
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog'
import {
  BarGaugeDisplayMode,
  BigValueColorMode,
  BigValueGraphMode,
  BigValueTextMode,
  type DataSourceRef,
  GraphGradientMode,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTextDisplayOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import {
  type DashboardLink,
  DashboardLinkBuilder,
  MappingType,
  type Panel,
  SpecialValueMatch,
  type ValueMapping,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import * as stat from '@grafana/grafana-foundation-sdk/stat'
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries'
import { type DataLink, panelRunbook } from './links.ts'
import { type Colorable, colors, GREY, POOL_COLORS, type Scale, thresholdsOf } from './scales.ts'
import { datasource } from './variables.ts'

export interface Query {
  readonly expr: string
  /** `{{label}}` or plain text. */
  readonly legend?: string
  /** Of the bar or number with that legend, whatever its value. */
  readonly color?: string
}

export interface PanelOptions {
  readonly title: string
  /** What it shows, and what to make of it. */
  readonly description: string
  /** Of 24 columns. */
  readonly width: number
  readonly height: number
  readonly unit: string
  readonly queries: readonly Query[]
  readonly decimals?: number
  readonly max?: number
  readonly scale?: Scale
  readonly mappings?: ValueMapping[]
  /** Shown in grey where there is no value: why that may be. */
  readonly noValue?: string
  readonly dataLinks?: readonly DataLink[]
  /** The names stand in other graphs as well, and have the same colors there. */
  readonly colorsByName?: boolean
  /** Of an alert: adds a link to its runbook. */
  readonly runbook?: string
}

export type PanelBuilder = Builder<Panel>

/** One number a series, as it is now. */
export function statPanel(options: PanelOptions): PanelBuilder {
  const panel = new stat.PanelBuilder()
    .orientation(VizOrientation.Horizontal)
    .graphMode(BigValueGraphMode.None)
    .colorMode(options.scale === undefined ? BigValueColorMode.None : BigValueColorMode.Value)
    .textMode(options.queries.length > 1 ? BigValueTextMode.ValueAndName : BigValueTextMode.Auto)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
  // One below the other, each with its name: Grafana would make them fit by making them too small to read.
  if (options.queries.some(({ legend }) => legend !== undefined)) {
    panel.text(new VizTextDisplayOptionsBuilder().titleSize(13).valueSize(18))
  }
  colorQueries(panel, options)
  return furnish(panel, options, 'instant')
}

/** One bar a series, as it is now. */
export function barPanel(options: PanelOptions): PanelBuilder {
  const panel = new bargauge.PanelBuilder()
    .orientation(VizOrientation.Horizontal)
    .displayMode(BarGaugeDisplayMode.Basic)
    .showUnfilled(true)
    .min(0)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
  colorQueries(panel, options)
  return furnish(panel, options, 'instant')
}

interface Overridable {
  overrideByName(name: string, properties: { id: string; value: unknown }[]): unknown
}

function colorQueries(panel: Overridable, { queries }: PanelOptions): void {
  for (const { legend, color } of queries) {
    if (legend === undefined || color === undefined) continue
    panel.overrideByName(legend, [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }])
  }
}

export interface GraphOptions extends PanelOptions {
  readonly stacked?: boolean
  /** Names that end so are drawn as a dashed line: a bound, not a measurement. */
  readonly dashed?: string
  /** Names that end so are drawn as a thin dotted line. */
  readonly dotted?: string
  /** Names begin with a pool, which has the same color in all of them. */
  readonly poolColors?: boolean
  /** Names are these, and have these colors. */
  readonly nameColors?: Readonly<Record<string, string>>
  /** Lines at the values of these steps. */
  readonly lines?: Scale
  /** The legend stands beside the graph, where ten rows have room. */
  readonly legendRight?: boolean
}

/** Lines over time, from zero. */
export function graphPanel(options: GraphOptions): PanelBuilder {
  const { stacked = false } = options
  const panel = new timeseries.PanelBuilder()
    .min(0)
    .lineWidth(stacked ? 1 : 2)
    .fillOpacity(stacked ? 60 : 5)
    .gradientMode(GraphGradientMode.None)
    .showPoints(VisibilityMode.Never)
    .spanNulls(false)
    .stacking(new StackingConfigBuilder().mode(stacked ? StackingMode.Normal : StackingMode.None))
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.Table)
        .placement(options.legendRight === true ? LegendPlacement.Right : LegendPlacement.Bottom)
        .calcs(['lastNotNull', 'max'])
        .sortBy('Max')
        .sortDesc(true),
    )
    .tooltip(
      new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending),
    )
  const paint = (fixedColor: string) => [{ id: 'color', value: { mode: 'fixed', fixedColor } }]
  // NB: without the slashes Grafana takes a regular expression for the whole name.
  for (const [pool, color] of Object.entries(options.poolColors === true ? POOL_COLORS : {})) {
    panel.overrideByRegexp(`/^${pool}/`, paint(color))
  }
  for (const [name, color] of Object.entries(options.nameColors ?? {})) {
    panel.overrideByName(name, paint(color))
  }
  for (const [ending, lineStyle] of [
    [options.dashed, { fill: 'dash', dash: [8, 6] }],
    [options.dotted, { fill: 'dot', dash: [0, 6] }],
  ] as const) {
    if (ending === undefined) continue
    panel.overrideByRegexp(`/${ending}$/`, [
      { id: 'custom.lineStyle', value: lineStyle },
      { id: 'custom.lineWidth', value: 1 },
      { id: 'custom.fillOpacity', value: 0 },
      { id: 'custom.stacking', value: { mode: 'none', group: 'A' } },
    ])
  }
  furnish(panel, options, 'range')
  if (options.lines !== undefined) {
    const style = new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed)
    panel.thresholdsStyle(style).thresholds(thresholdsOf(options.lines))
  }
  return panel
}

/** What the builders of all kinds of panels have in common. */
interface Furnishable extends PanelBuilder, Colorable {
  title(title: string): unknown
  description(description: string): unknown
  span(columns: number): unknown
  height(rows: number): unknown
  unit(unit: string): unknown
  datasource(datasource: DataSourceRef): unknown
  withTarget(target: Builder<Dataquery>): unknown
  decimals(decimals: number): unknown
  max(max: number): unknown
  mappings(mappings: ValueMapping[]): unknown
  noValue(text: string): unknown
  links(links: Builder<DashboardLink>[]): unknown
  dataLinks(links: Builder<DashboardLink>[]): unknown
}

/** Sets what every panel has, whatever its kind. */
export function furnish<P extends Furnishable>(
  panel: P,
  options: PanelOptions,
  kind: 'instant' | 'range' | 'table',
): P {
  panel.title(options.title)
  panel.description(options.description)
  panel.span(options.width)
  panel.height(options.height)
  panel.unit(options.unit)
  panel.datasource(datasource)
  for (const [index, query] of options.queries.entries()) {
    panel.withTarget(target(query, index, kind))
  }
  if (options.decimals !== undefined) panel.decimals(options.decimals)
  if (options.max !== undefined) panel.max(options.max)
  if (kind !== 'table') {
    panel.mappings([...(options.mappings ?? []), missing(options.noValue ?? 'No data')])
  }
  if (options.noValue !== undefined) panel.noValue(options.noValue)
  if (options.dataLinks !== undefined) {
    panel.dataLinks(
      options.dataLinks.map(({ title, url }) => new DashboardLinkBuilder(title).url(url)),
    )
  }
  if (options.runbook !== undefined) panel.links([panelRunbook(options.runbook)])
  colors(panel, options.scale, kind, options.colorsByName)
  return panel
}

/** A missing value would have the color of the lowest step, which says good or bad of what nobody knows. */
export function missing(text: string): ValueMapping {
  const result = { text, color: GREY, index: 9 }
  const options = { match: SpecialValueMatch.NullAndNan, result }
  return { type: MappingType.SpecialValue, options }
}

/** A number that stands for a text. */
export function named(
  ...texts: readonly (readonly [value: number, text: string, color: string])[]
): ValueMapping {
  const rows = texts.map(([value, text, color], index) => [value, { text, color, index }])
  return { type: MappingType.ValueToText, options: Object.fromEntries(rows) }
}

/** The name Grafana gives a query's answer: A, B, C ... */
export function refId(index: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + index)
}

function target(
  { expr, legend }: Query,
  index: number,
  kind: 'instant' | 'range' | 'table',
): DataqueryBuilder {
  const query = new DataqueryBuilder().refId(refId(index)).datasource(datasource).expr(expr)
  if (legend !== undefined) query.legendFormat(legend)
  if (kind === 'range') return query.range()
  query.instant()
  return kind === 'table' ? query.format(PromQueryFormat.Table) : query
}
