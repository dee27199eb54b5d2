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
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import type { DashboardLink, Panel, ValueMapping } from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import * as stat from '@grafana/grafana-foundation-sdk/stat'
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries'
import { panelRunbook } from './links.ts'
import { type Colorable, colors, POOL_COLORS, type Scale } from './scales.ts'
import { datasource } from './variables.ts'

export interface Query {
  readonly expr: string
  /** `{{label}}` or plain text. */
  readonly legend?: string
  /** Of the bar with that legend, whatever its value. */
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
  /** Shown where there is no value: why that may be. */
  readonly noValue?: string
  /** Of an alert: adds a link to its runbook. */
  readonly runbook?: string
}

export type PanelBuilder = Builder<Panel>

/** One number a series, as it is now; with its course behind it if there is one series. */
export function statPanel(options: PanelOptions & { readonly spark?: boolean }): PanelBuilder {
  const { spark = false } = options
  const panel = new stat.PanelBuilder()
    .graphMode(spark ? BigValueGraphMode.Area : BigValueGraphMode.None)
    .colorMode(options.scale === undefined ? BigValueColorMode.None : BigValueColorMode.Value)
    .textMode(options.queries.length > 1 ? BigValueTextMode.ValueAndName : BigValueTextMode.Auto)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
  return furnish(panel, options, spark ? 'range' : 'instant')
}

/** One bar a series, as it is now. */
export function barPanel(options: PanelOptions): PanelBuilder {
  const panel = new bargauge.PanelBuilder()
    .orientation(VizOrientation.Horizontal)
    .displayMode(BarGaugeDisplayMode.Basic)
    .showUnfilled(true)
    .min(0)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
  for (const { legend, color } of options.queries) {
    if (legend === undefined || color === undefined) continue
    panel.overrideByName(legend, [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }])
  }
  return furnish(panel, options, 'instant')
}

export interface GraphOptions extends PanelOptions {
  readonly stacked?: boolean
  /** Names matching are drawn as a dashed line: a bound, not a measurement. */
  readonly dashed?: string
  /** Names begin with a pool, which has the same color in all of them. */
  readonly poolColors?: boolean
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
        .placement(LegendPlacement.Bottom)
        .calcs(['lastNotNull', 'max'])
        .sortBy('Max')
        .sortDesc(true),
    )
    .tooltip(
      new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending),
    )
  for (const [pool, color] of Object.entries(options.poolColors === true ? POOL_COLORS : {})) {
    const value = { mode: 'fixed', fixedColor: color }
    panel.overrideByRegexp(`^${pool}`, [{ id: 'color', value }])
  }
  if (options.dashed !== undefined) {
    panel.overrideByRegexp(options.dashed, [
      { id: 'custom.lineStyle', value: { fill: 'dash', dash: [8, 6] } },
      { id: 'custom.lineWidth', value: 1 },
      { id: 'custom.fillOpacity', value: 0 },
      { id: 'custom.stacking', value: { mode: 'none', group: 'A' } },
    ])
  }
  return furnish(panel, options, 'range')
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
  if (options.mappings !== undefined) panel.mappings(options.mappings)
  if (options.noValue !== undefined) panel.noValue(options.noValue)
  if (options.runbook !== undefined) panel.links([panelRunbook(options.runbook)])
  colors(panel, options.scale, kind)
  return panel
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
