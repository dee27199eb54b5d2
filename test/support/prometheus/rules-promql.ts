// What an expression of Prometheus names, found without a parser: text -> metrics, label matchers, label lists.

export interface Selector {
  readonly metric: string
  /** Names of the labels between its braces. */
  readonly labels: readonly string[]
}

/** All vector selectors of metrics with our prefix and of recording rules, `up` and `ALERTS`. */
export function listSelectors(expression: string): readonly Selector[] {
  const matches = withoutComments(expression).matchAll(
    /(?<![\w:"])((?:[a-z_]+:)?ephemeral_port_\w+(?::\w+)?|up|ALERTS)(?![\w:"(])(?:\{([^}]*)\})?/g,
  )
  return [...matches].map(([, metric = '', matchers = '']) => ({
    metric,
    labels: [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label),
  }))
}

/** The labels that aggregations and vector matching name, except those behind `without` and `group_left`. */
export function listGroupingLabels(expression: string): readonly string[] {
  return listLabelsBehind(expression, /\b(?:by|on)\s*\(([^)]*)\)/g)
}

function listLabelsBehind(expression: string, pattern: RegExp): readonly string[] {
  const lists = [...withoutComments(expression).matchAll(pattern)]
  const labels = lists.flatMap(([, list = '']) => list.split(','))
  return labels.map((label) => label.trim()).filter((label) => label !== '')
}

/** Name and number of every `<number> # threshold: <name>`. */
export function listThresholds(expression: string): readonly [name: string, value: string][] {
  const matches = expression.matchAll(/([0-9.]+) # threshold: (\w+)$/gm)
  return [...matches].map(([, value = '', name = '']) => [name, value])
}

function withoutComments(expression: string): string {
  return expression.replace(/#.*$/gm, '')
}
