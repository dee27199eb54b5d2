// What Grafana does with $variables before it asks Prometheus, as a pure function: text and what is chosen -> PromQL.
// Mirrors interpolateQueryExpr and escaping of Grafana's Prometheus data source.

import type { Span } from '../../test/support/prometheus/prometheus-server.ts'
import type { Variable } from './model.ts'

/** A variable that is missing here has "All" chosen. */
export type Choice = Readonly<Record<string, string | readonly string[]>>

export interface QueryTime {
  /** What the panel shows; its step is $__interval. */
  readonly span: Span
  /** The data source's setting "Scrape interval". */
  readonly scrapeSeconds: number
}

export function substitute(
  text: string,
  variables: readonly Variable[],
  choice: Choice,
  { span, scrapeSeconds }: QueryTime,
): string {
  const interval = span.stepSeconds
  const builtIn: Readonly<Record<string, string>> = {
    __interval: `${interval}s`,
    // At least four scrapes, so that a rate has its two samples even if one is lost.
    __rate_interval: `${Math.max(interval + scrapeSeconds, 4 * scrapeSeconds)}s`,
    __range: `${span.endSeconds - span.startSeconds}s`,
  }
  // $1 is the first group of a label_replace(), to Grafana as well.
  return text.replaceAll(
    /\$([a-zA-Z_]\w*)|\$\{(\w+)\}/g,
    (found, plain?: string, braced?: string) => {
      const name = plain ?? braced ?? ''
      const value = builtIn[name]
      if (value !== undefined) return value
      const variable = variables.find((candidate) => candidate.name === name)
      if (variable === undefined) throw new Error(`Cannot substitute ${found}: no such variable`)
      return renderValue(variable, choice[name])
    },
  )
}

function renderValue(variable: Variable, chosen: string | readonly string[] | undefined): string {
  const { name, multi = false, includeAll = false, allValue } = variable
  if (chosen === undefined) {
    if (!includeAll) throw new Error(`Cannot choose "All" of $${name}: it is not offered`)
    if (allValue === undefined) throw new Error(`"All" of $${name} is no expression`)
    return allValue
  }
  if (!multi && !includeAll) return quote(`${chosen}`)
  const values = typeof chosen === 'string' ? [chosen] : chosen
  const escaped = values.map(escapeRegex)
  return escaped.length === 1 ? `${escaped[0]}` : `(${escaped.join('|')})`
}

// Within a string of PromQL.
function quote(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')
}

// Within a regular expression within a string.
function escapeRegex(value: string): string {
  return value
    .replaceAll('\\', '\\\\\\\\')
    .replaceAll(/[$^*{}[\]'+?.()|]/g, '\\\\$&')
    .replaceAll('"', '\\"')
}
