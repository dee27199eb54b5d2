// Pairs of runs -> one Markdown table and the limits, which the console and a file show alike.

export interface Run {
  readonly cpuNs: number
  readonly wallNs: number
}

/** One after the other, so that both see the same machine. */
export interface Pair {
  readonly without: Run
  readonly with: Run
}

export interface Limit {
  readonly claim: string
  readonly seen: string
  readonly met: boolean
}

/** Of one column, in nanoseconds a connection. */
interface Comparison {
  readonly without: number
  /** The distance between the quartiles of the runs without the recorder. */
  readonly spread: number
  /** The median of the pairs' differences. */
  readonly added: number
  /** Of `added`, at 95 %. */
  readonly error: number
}

/** 95 % of a median lie within that many quartile distances over the root of n (McGill, Tukey and Larsen 1978). */
const NOTCH = 1.57
const LIMIT_RATIO = 0.05

export function renderPairs(pairs: readonly Pair[]): string {
  const rows = (['cpuNs', 'wallNs'] as const).map((column) => {
    const { without, spread, added, error } = compare(pairs, column)
    return [
      column === 'cpuNs' ? 'CPU' : 'wall',
      renderNs(without),
      renderNs(spread),
      `${renderNs(added)} +- ${error.toFixed(0)}`,
      renderRatio(added / without),
    ]
  })
  return renderTable(['', 'without', 'spread', 'added', 'of without'], rows)
}

/** CPU time is judged; wall time depends on who else runs, and is told only. */
export function checkLimits(pairs: readonly Pair[]): readonly Limit[] {
  const { without, spread, added, error } = compare(pairs, 'cpuNs')
  return [
    {
      claim: `recording adds at most ${renderRatio(LIMIT_RATIO)} to the CPU time of a connect() and close()`,
      seen: `${renderRatio(added / without)} +- ${renderRatio(error / without)}`,
      met: added <= LIMIT_RATIO * without,
    },
    {
      claim: 'that is within the spread of runs without it',
      seen: `${renderNs(added)} of ${renderNs(spread)}`,
      met: added <= spread,
    },
    {
      claim: `the measurement is not off by more than ${renderRatio(LIMIT_RATIO)}`,
      seen: renderRatio(error / without),
      met: error <= LIMIT_RATIO * without,
    },
  ]
}

export function renderLimits(limits: readonly Limit[]): string {
  return limits
    .map(({ claim, seen, met }) => `* ${met ? 'met' : '**MISSED**'}: ${claim} (${seen})\n`)
    .join('')
}

function compare(pairs: readonly Pair[], column: keyof Run): Comparison {
  const without = pairs.map((pair) => pair.without[column])
  const differences = pairs.map((pair) => pair.with[column] - pair.without[column])
  return {
    without: quantile(without, 0.5),
    spread: spreadOf(without),
    added: quantile(differences, 0.5),
    error: (NOTCH * spreadOf(differences)) / Math.sqrt(differences.length),
  }
}

function spreadOf(values: readonly number[]): number {
  return quantile(values, 0.75) - quantile(values, 0.25)
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.round(share * (sorted.length - 1))] ?? Number.NaN
}

function renderNs(ns: number): string {
  return `${ns.toFixed(0)} ns`
}

function renderRatio(ratio: number): string {
  return `${(100 * ratio).toFixed(1)} %`
}

function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const rule = head.map((_, index) => (index === 0 ? '---' : '---:'))
  return [line(head), line(rule), ...rows.map(line), ''].join('\n')
}
