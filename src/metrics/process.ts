// The exporter's own process_* and nodejs_* metrics: prom-client's defaults, kept in a registry of their own for the
// life of the program and never rendered from there, but copied into the fresh registry of each page.

import { AggregatorRegistry, collectDefaultMetrics, Registry } from 'prom-client'

export type ProcessMetrics = Awaited<ReturnType<Registry['getMetricsAsJSON']>>

/** Gauges which promtool rejects, since _total belongs to counters. */
const REJECTED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
]

// prom-client's default of 10 ms cost 0.9 % of a core on an idle process, 100 ms a tenth of that. What the histogram
// shows is the time between two of its ticks, so nodejs_eventloop_lag_{min,mean,p50...} of an idle process stand at
// this value.
const EVENT_LOOP_TICK_MS = 100

/** What the event loop's histogram says for its minimum while it is empty, 2^63 ns, is no knowledge. */
const EMPTY_MINIMUM_SECONDS = 2 ** 63 / 1e9

/** Starts measuring; the values are those at the time of the call. */
export function createProcessMetrics(): () => Promise<ProcessMetrics> {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: EVENT_LOOP_TICK_MS })
  for (const name of REJECTED) registry.removeSingleMetric(name)
  // The lag is measured from one read to the next turn of the event loop, and 0 before the first: measure once now.
  void registry.getSingleMetric('nodejs_eventloop_lag_seconds')?.get()

  return async function readProcessMetrics() {
    const metrics = await registry.getMetricsAsJSON()
    return metrics.map((metric) => ({ ...metric, values: metric.values.filter(isKnown) }))
  }
}

function isKnown({ value }: { readonly value: number }): boolean {
  return Number.isFinite(value) && value !== EMPTY_MINIMUM_SECONDS
}

/** A registry that renders these values behind those of `registry`, once and in its format. */
export function mergeProcessMetrics(registry: Registry, metrics: ProcessMetrics): Registry {
  const isOpenMetrics = registry.contentType !== Registry.PROMETHEUS_CONTENT_TYPE
  // Made for sums over the workers of a cluster, aggregate() is the one public way from values back to a registry, and
  // the sum over one worker is its value. NB: its counters are not renamed for OpenMetrics, which wants them without
  // _total.
  const copies = metrics
    .filter(({ values }) => values.length > 0)
    .map((metric) => ({
      ...metric,
      name: isOpenMetrics && isCounter(metric) ? metric.name.replace(/_total$/, '') : metric.name,
      aggregator: 'sum',
    }))
  const own = AggregatorRegistry.aggregate([copies]) as Registry
  own.setContentType(registry.contentType)
  return Registry.merge([registry, own])
}

function isCounter({ type }: ProcessMetrics[number]): boolean {
  return String(type) === 'counter' // declared as an enum, a string in truth
}
