// Selectors of the dashboards' queries: metric and matchers -> PromQL. Every selector carries the variables, so that no panel
// can show what was not chosen.

/** An empty cluster works: "All" is `.*`, which fits series without that label. */
const chosen = 'cluster=~"$cluster", job=~"$job", instance=~"$instance"'

const BUILD_INFO = 'ephemeral_port_exporter_build_info'

/** What tells one exporter, and one namespace of it, from all others. */
export const EXPORTER = 'cluster, job, instance'
export const NETNS = `${EXPORTER}, netns`

/** Of all chosen exporters. */
export function fleet(metric: string, ...matchers: readonly string[]): string {
  return `${metric}{${[chosen, ...matchers].join(', ')}}`
}

/**
 * Of what every job has a metric of, only the exporters'. NB: with all jobs chosen the variables fit whatever Prometheus scrapes.
 */
export function ofExporters(expression: string): string {
  return `${expression} and on (${EXPORTER}) ${fleet(BUILD_INFO)}`
}

/**
 * `up` of the exporters: of those that have answered within a day, as the alert has it, since one that is down says nothing.
 * NB: `@ end()`, or a graph would read that day anew for each of its points.
 */
export const exportersUp = `${fleet('up')} and on (${EXPORTER}) present_over_time(${fleet(BUILD_INFO)}[1d] @ end())`

/**
 * Of the chosen Kubernetes namespaces, whose pods' network namespaces are named `pod/<namespace>/<pod>`. NB: "All" is `.*` and
 * fits every name. What is recorded of an instance cannot be chosen so.
 */
export const OF_NAMESPACES = 'netns=~"(pod/)?$namespace(/.*)?"'

/** Of the chosen namespace. NB: an exact match, since $netns is one value and not a regular expression. */
export function inNetns(metric: string, ...matchers: readonly string[]): string {
  return fleet(metric, 'netns="$netns"', ...matchers)
}

/** 0 where `known` has series and `expression` has none: nothing found is only said where something was looked at. */
export function orZero(expression: string, known: string): string {
  return `${expression} or 0 * count(${known})`
}

/** Gives the sum or the maximum of `of`, one series for each value of the labels `by`. */
interface Aggregation {
  readonly operation: 'max' | 'sum'
  readonly by: string
  readonly of: string
}

/**
 * The ten that were the highest at any time shown. NB: topk() alone chooses anew at every step, and draws dozens of
 * fragments where a dozen lines are meant.
 */
export function highestTen({ operation, by, of }: Aggregation): string {
  const highest = `${operation} by (${by}) (max_over_time(${of}[$__range] @ end()))`
  return `${operation} by (${by}) (${of}) and topk(10, ${highest})`
}
