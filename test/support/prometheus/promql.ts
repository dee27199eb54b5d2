// What a query of Prometheus asks for, read by Prometheus' own grammar: text -> its selectors, and the labels it groups by.

import type { SyntaxNode } from '@lezer/common'
import { parser } from '@prometheus-io/lezer-promql'

export interface Matcher {
  readonly label: string
  readonly operator: string
  readonly value: string
}

export interface Selector {
  readonly metric: string
  readonly matchers: readonly Matcher[]
  /** As written: `$__rate_interval`. */
  readonly range: string | undefined
  /** The function or aggregation around it, the innermost. */
  readonly call: string | undefined
}

export interface Query {
  readonly selectors: readonly Selector[]
  /** Of by, without, on, ignoring, group_left and group_right. */
  readonly labels: readonly string[]
  /** Made by label_replace() and label_join(). */
  readonly madeLabels: readonly string[]
}

/** Grafana's own durations are no PromQL: each stands for one that nobody writes. */
const DURATIONS: Readonly<Record<string, string>> = {
  $__rate_interval: '31536001s',
  $__interval: '31536002s',
  $__range: '31536003s',
}

/** Throws where the grammar does not fit, or a selector has no name. */
export function parseQuery(query: string): Query {
  const text = Object.entries(DURATIONS).reduce(
    (all, [from, to]) => all.replaceAll(from, to),
    query,
  )
  const source = (node: SyntaxNode) => text.slice(node.from, node.to)
  const written = (duration: string) =>
    Object.keys(DURATIONS).find((name) => DURATIONS[name] === duration) ?? duration
  const selectors: Selector[] = []
  const labels: string[] = []
  const madeLabels: string[] = []
  parser.parse(text).iterate({
    enter({ type, node }) {
      if (type.isError) throw new Error(`No PromQL at ${node.from}: ${JSON.stringify(query)}`)
      if (type.name === 'VectorSelector') {
        const name = node.getChild('Identifier')
        if (name === null) throw new Error(`A selector without a name: ${JSON.stringify(query)}`)
        const { parent } = node
        const range = parent?.name === 'MatrixSelector' ? parent.lastChild : null
        selectors.push({
          metric: source(name),
          matchers: matchersOf(node, source),
          range: range === null ? undefined : written(source(range)),
          call: callAround(node, source),
        })
      }
      if (type.name === 'GroupingLabels') labels.push(...node.getChildren('LabelName').map(source))
      if (type.name === 'LabelReplace' || type.name === 'LabelJoin') {
        const [made] =
          node.parent?.parent?.getChild('FunctionCallBody')?.getChildren('StringLiteral') ?? []
        if (made !== undefined) madeLabels.push(source(made).slice(1, -1))
      }
    },
  })
  return { selectors, labels, madeLabels }
}

function matchersOf(selector: SyntaxNode, source: (node: SyntaxNode) => string): Matcher[] {
  const matchers = selector.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []
  return matchers.map((matcher) => {
    const [label = '', operator = '', value = ''] = ['LabelName', 'MatchOp', 'StringLiteral'].map(
      (name) => matcher.getChildren(name).map(source).join(''),
    )
    return { label, operator, value: value.slice(1, -1) }
  })
}

function callAround(
  selector: SyntaxNode,
  source: (node: SyntaxNode) => string,
): string | undefined {
  for (let node = selector.parent; node !== null; node = node.parent) {
    const name = node.getChild('FunctionIdentifier') ?? node.getChild('AggregateOp')
    if (name !== null) return source(name)
  }
  return undefined
}
