// Rows -> one Markdown table and the limit, which the console and a file show alike.

export interface Row {
  /** Quiet ones, our own not among them. */
  readonly namespaces: number
  readonly socketsEach: number
  /** Sockets of one more namespace; undefined on an idle machine. */
  readonly crowdSockets: number | undefined
  /** Means of CPU milliseconds a sample. */
  readonly selfMs: number
  readonly allMs: number
  readonly turnMs: number
  readonly findingMs: number
  readonly crowdedMs: number
  readonly intervalSeconds: number
}

export interface Limit {
  readonly claim: string
  readonly seen: string
  readonly met: boolean
}

const LIMIT = 1.3

export function renderRows(rows: readonly Row[]): string {
  return renderTable(
    [
      'machine',
      'namespaces',
      'sockets each',
      'host alone',
      'all',
      'all / host alone',
      'added / host alone',
      'finding',
      'in turn',
      'crowded one',
      'interval',
    ],
    rows.map((row) => [
      row.crowdSockets === undefined
        ? 'idle'
        : `beside ${row.crowdSockets.toLocaleString('en')} sockets`,
      String(row.namespaces),
      String(row.socketsEach),
      renderMs(row.selfMs),
      renderMs(row.allMs),
      takeRatio(row).toFixed(2),
      takeAddedRatio(row).toFixed(2),
      renderMs(row.findingMs),
      renderMs(row.turnMs),
      row.crowdSockets === undefined ? '' : renderMs(row.crowdedMs),
      `${row.intervalSeconds.toFixed(0)} s`,
    ]),
  )
}

/** What quiet ones add, in dumps of the host, while the kernel's table is full of a stranger's sockets. */
export function checkLimits(rows: readonly Row[], namespaces: number): readonly Limit[] {
  const row = rows.find(
    (one) =>
      one.namespaces === namespaces && one.socketsEach === 0 && one.crowdSockets !== undefined,
  )
  // NaN, which meets no limit, when it was not measured.
  const ratio = row === undefined ? Number.NaN : takeAddedRatio(row)
  return [
    {
      claim: `beside a crowded one, ${namespaces} quiet namespaces cost at most ${LIMIT} x the host's own dump, where listing each would cost ${namespaces} x`,
      seen: `${ratio.toFixed(2)} x`,
      met: ratio <= LIMIT,
    },
  ]
}

export function renderLimits(limits: readonly Limit[]): string {
  return limits
    .map(({ claim, seen, met }) => `* ${met ? 'met' : '**MISSED**'}: ${claim} (${seen})\n`)
    .join('')
}

/** Of means, since a turn is not taken at every sample and a median would not see it. */
function takeRatio({ allMs, selfMs }: Row): number {
  return allMs / selfMs
}

function takeAddedRatio(row: Row): number {
  return takeRatio(row) - 1
}

export function takeMean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function renderMs(ms: number): string {
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`
}

function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const rule = head.map((_, index) => (index === 0 ? '---' : '---:'))
  return [line(head), line(rule), ...rows.map(line), ''].join('\n')
}
