// What is wrong with a rule in one place: alerts -> alerts each with one number, duration, range, offset, pool, join, branch or
// severity changed. The unit tests of the rules must notice every one of them but those that are named HARMLESS.

import { secondsOf } from '../support/prometheus/durations.ts'
import { type Alert, listThresholds } from '../support/prometheus/rules-files.ts'

export interface Mutant {
  readonly what: string
  /** Index of the changed alert in the list. */
  readonly index: number
  readonly rule: Alert
}

type Change = readonly [what: string, changed: Partial<Alert>]

const SHARE = 0.12
const OTHER_SEVERITY: Readonly<Record<string, string>> = {
  critical: 'warning',
  warning: 'info',
  info: 'warning',
}

/** What these change makes no difference that can occur, by what listMutants() calls them; the value says why. */
export const HARMLESS: Readonly<Record<string, string>> = {
  ...zerosOf('EphemeralPortBlockedPortsGrowing', 'blockedPortsRatio'),
  ...zerosOf('EphemeralPortCloseWaitLeak', 'closeWaitRatio'),
  'EphemeralPortAllocationsFailing (critical): line 9: 5m -> 600s':
    'the failures of a namespace are forgotten no later than its name',
}

/** The lines of a cause alert that keep zeros out of the joins. */
function zerosOf(alert: string, ratio: string): Readonly<Record<string, string>> {
  const reason = `keeps zeros out of the joins; how many are too many is said by ${ratio}`
  return Object.fromEntries(
    [1, 7, 14, 15, 19].map((line) => [`${alert} (warning): line ${line}: 0 -> 10`, reason]),
  )
}

export function* listMutants(alerts: readonly Alert[]): Iterable<Mutant> {
  for (const [index, rule] of alerts.entries()) {
    const { alert, labels } = rule
    const name = `${alert} (${labels.severity})`
    for (const [change, changed] of listChanges(rule)) {
      yield { what: `${name}: ${change}`, index, rule: { ...rule, ...changed } }
    }
  }
}

function* listChanges(rule: Alert): Iterable<Change> {
  const { expr, labels, for: wait, keep_firing_for: keep } = rule
  for (const [name, value] of new Map(listThresholds(expr))) {
    for (const other of neighbours(Number(value))) {
      const changed = expr.replaceAll(`${value} # threshold: ${name}`, `${other}`)
      yield [`${name} ${other}`, { expr: changed }]
    }
  }
  for (const other of doubleAndHalf(wait)) yield [`for ${other}`, { for: other }]
  for (const other of doubleAndHalf(keep)) {
    yield [`keep_firing_for ${other}`, { keep_firing_for: other }]
  }
  const severity = OTHER_SEVERITY[labels.severity ?? '']
  if (severity !== undefined) {
    yield [`severity ${severity}`, { labels: { ...labels, severity } }]
  }
  for (const [what, changed] of listExpressions(expr)) yield [what, { expr: changed }]
}

/** One place of the expression at a time, named by its line. */
function* listExpressions(expr: string): Iterable<readonly [what: string, changed: string]> {
  const labels = /group_left \(namespace, pod\)/g
  yield* replaceEach(expr, labels, () => ['group_left ()'])
  // Ranges, steps of subqueries, and offsets.
  yield* replaceEach(expr, /(?<=[[:]|\boffset )\d+[smhd](?=[\]:)])/g, doubleAndHalf)
  // Numbers that are compared with or multiplied by, and have no name.
  const number = /(?<=(?:[<>=]=?|[-*]) )[0-9.]+(?![\d.]| # threshold)|\b[0-9.]+(?= \* )/g
  yield* replaceEach(expr, number, (text) => neighbours(Number(text)))
  yield* replaceEach(expr, /(?<=pool=~")[^"]*(?=")/g, (text) => {
    const pools = text.split('|')
    return pools.map((left) => pools.filter((pool) => pool !== left).join('|'))
  })
  // One side of `or`, where it is a line of its own.
  yield* replaceEach(expr, /\n +or\n +[^\n]+(?=\n *\))/g, (text) => (isBalanced(text) ? [''] : []))
  yield* replaceEach(expr, /(?<=\(\n) +[^\n]+\n +or\n/g, (text) => (isBalanced(text) ? [''] : []))
}

function* replaceEach(
  expr: string,
  pattern: RegExp,
  others: (text: string) => readonly string[] | readonly number[],
): Iterable<readonly [what: string, changed: string]> {
  for (const { 0: text, index } of expr.matchAll(pattern)) {
    for (const other of others(text)) {
      const line = expr.slice(0, index).split('\n').length
      const changed = `${expr.slice(0, index)}${other}${expr.slice(index + text.length)}`
      yield [`line ${line}: ${text.trim()} -> ${other}`, changed]
    }
  }
}

function isBalanced(text: string): boolean {
  return text.split('(').length === text.split(')').length
}

// A threshold of 0 asks whether there is anything at all, and a ratio of 1 for the very last port.
function neighbours(value: number): readonly number[] {
  if (value === 0) return [10]
  if (value === 1) return [1 + SHARE, 0.9995]
  return [value * (1 + SHARE), value * (1 - SHARE)].map((other) => Number(other.toFixed(4)))
}

function doubleAndHalf(duration: string | undefined): readonly string[] {
  if (duration === undefined) return []
  const seconds = secondsOf(duration)
  return [`${seconds * 2}s`, `${seconds / 2}s`]
}
