// The graphs of either page: lines over time, each with links to what is looked at next.

import { netnsThen, overviewThen, toExporter, toInstance } from './links.ts'
import { type GraphOptions, graphPanel, type PanelBuilder, type Query } from './panels.ts'
import { EXPORTER, NETNS } from './selectors.ts'

type Options = Omit<GraphOptions, 'dataLinks'>

/** Of the overview: a line is a sum, or stands for many instances. */
export function fleetGraph(options: Options): PanelBuilder {
  return graphPanel({ ...options, dataLinks: [overviewThen] })
}

/** Of the page of one namespace. */
export function namespaceGraph(options: Options): PanelBuilder {
  return graphPanel({ ...options, dataLinks: [netnsThen, toInstance] })
}

export interface HighestOptions extends Omit<Options, 'queries' | 'colorsByName' | 'legendRight'> {
  /** Gives one series for each instance, or for each namespace if `each` says so. */
  readonly expr: string
  readonly each?: 'netns'
}

/** Of the overview: ten lines, each an instance or a namespace, which has one color in all graphs. */
export function highestGraph({ expr, each, ...options }: HighestOptions): PanelBuilder {
  return graphPanel({
    ...options,
    legendRight: true,
    colorsByName: true,
    queries: [named(expr, each === 'netns' ? NETNS : EXPORTER)],
    dataLinks: [toExporter, overviewThen],
  })
}

/**
 * NB: Grafana up to 11 colors by the name of the field, which is the name of the metric or, for all others, "Value"; later
 * ones by the name that is shown. So the metric gets the name that is shown.
 */
function named(expr: string, by: string): Query {
  const labels = by
    .split(', ')
    .filter((label) => label !== 'job')
    .reverse()
  const quoted = labels.map((label) => `"${label}"`).join(', ')
  return {
    expr: `label_join(${expr}, "__name__", " ", ${quoted})`,
    legend: labels.map((label) => `{{${label}}}`).join(' '),
  }
}
