// The command `status`: Snapshot and Diagnosis -> verdict, sick pools and tables for people, JSON for programs, an exit
// status for scripts. Pure.

import type { Diagnosis } from '../diagnosis/diagnose.ts'
import { listDistinct } from '../diagnosis/pool-diagnosis.ts'
import { describeLeftOut } from '../diagnosis/unreadable.ts'
import { renderDuration, renderPercent, renderRisk, renderVisible } from '../diagnosis/words.ts'
import { hasState, type ReadNamespace, type Snapshot } from '../snapshot.ts'
import { renderNamespaces } from './doctor.ts'
import { renderNamespaceDetails } from './namespace-text.ts'
import { renderPoolDiagnosis } from './pool-text.ts'
import { paint, paragraphWidth, plainText, renderTable, type Terminal, wrap } from './text.ts'

/** 0 healthy, 1 warning, 2 critical, 3 nothing could be read. */
export function statusExitCode({ severity, namespaces }: Diagnosis): 0 | 1 | 2 | 3 {
  if (namespaces.unread === namespaces.total) return 3
  return severity === 'critical' ? 2 : severity === 'warning' ? 1 : 0
}

/** One line, so that `--watch --json` is a stream of lines. What is not known is left out. */
export function renderStatusJson(snapshot: Snapshot, diagnosis: Diagnosis): string {
  return `${JSON.stringify({ ...snapshot, diagnosis })}\n`
}

export interface StatusView {
  readonly snapshot: Snapshot
  readonly diagnosis: Diagnosis
  /** Who sampled, in words for the first line. */
  readonly origin: string
}

/** Ends in a line break. */
export function renderStatus(view: StatusView, terminal: Terminal = plainText): string {
  const { snapshot, diagnosis } = view
  const readable = snapshot.namespaces.filter(hasState)
  const detailed = readable.filter((namespace) => namespace.detailed)
  const blocks = [
    renderVerdict(view, terminal),
    ...listDistinct(diagnosis.pools).map((pool) => renderPoolDiagnosis(pool, terminal)),
    renderUnread(diagnosis, terminal),
    ...(detailed.length > 0 ? [renderPools(detailed, terminal)] : []),
    renderQuiet(readable.length - detailed.length, terminal),
    ...describeLeftOut(snapshot).map((text) => wrap(text, paragraphWidth(terminal))),
    ...detailed.flatMap((namespace) => renderNamespaceDetails(namespace, terminal)),
    renderFailures(snapshot),
  ]
  return blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => `${lines.join('\n')}\n`)
    .join('\n')
}

/** A node with a hundred pods would fill screens with nothing. */
function renderQuiet(count: number, terminal: Terminal): string[] {
  if (count === 0) return []
  const namespaces = count === 1 ? 'namespace is quiet' : 'namespaces are quiet'
  return wrap(
    `${count} other ${namespaces}: every pool below --detail.min-utilization (--json has them)`,
    paragraphWidth(terminal),
  )
}

function renderVerdict({ diagnosis, origin }: StatusView, terminal: Terminal): string[] {
  const takenAt = new Date(diagnosis.takenAtSeconds * 1000).toISOString()
  const { severity, headline } = diagnosis
  return [
    `${paint(severity, severity, terminal)}: ${headline}`,
    ...wrap(`${takenAt.replace(/\.\d+Z$/, 'Z')}, ${origin}`, paragraphWidth(terminal)),
  ]
}

/** Renders the findings that keep the rest of the text from being complete. */
function renderUnread({ findings }: Diagnosis, terminal: Terminal): string[] {
  return findings
    .filter(({ topic }) => topic === 'unreadable')
    .flatMap(({ namespaces, what, why }) => {
      const text = renderVisible(`${renderNamespaces(namespaces)} ${what}. ${why}`)
      return wrap(text, paragraphWidth(terminal, 4)).map(
        (line, i) => (i === 0 ? '  - ' : '    ') + line,
      )
    })
}

function renderPools(namespaces: readonly ReadNamespace[], terminal: Terminal): string[] {
  const ranked = namespaces.toSorted((a, b) => rankOf(b) - rankOf(a))
  const rows = ranked.flatMap(({ netns, state }) =>
    state.pools.map((pool) => [
      netns,
      pool.pool,
      String(pool.capacityPorts),
      String(pool.availablePorts),
      renderPercent(pool.utilizationRatio),
      renderRisk(pool.riskRatio),
      pool.etaSeconds === 0 ? 'now' : renderDuration(pool.etaSeconds),
      pool.worstDestination?.destination ?? '-',
    ]),
  )
  const table = renderTable(
    [
      { title: 'NAMESPACE', shrinks: true },
      { title: 'POOL' },
      { title: 'CAPACITY', align: 'right' },
      { title: 'AVAILABLE', align: 'right' },
      { title: 'USED', align: 'right' },
      { title: 'RISK', align: 'right' },
      { title: 'ETA', align: 'right' },
      { title: 'WORST DESTINATION', shrinks: true },
    ],
    rows,
    terminal.columns,
  )
  const pools = namespaces.flatMap(({ state }) => state.pools)
  return pools.some(({ riskRatio }) => riskRatio === undefined)
    ? [
        ...table,
        ...wrap(
          'RISK and ETA need more than a few samples: --watch or the running exporter has them.',
          paragraphWidth(terminal),
        ),
      ]
    : table
}

/** Ranks a namespace by the highest risk of its pools, then by the highest use. */
function rankOf({ state }: ReadNamespace): number {
  return Math.max(
    ...state.pools.map(({ riskRatio = 0, utilizationRatio }) => riskRatio * 2 + utilizationRatio),
  )
}

function renderFailures({ failures, collectors }: Snapshot): string[] {
  // Namespaces end all the time, some of them while they are read.
  const counts = Object.entries(failures).filter(
    ([reason, count]) => count > 0 && reason !== 'vanished',
  )
  const failed = collectors.filter(({ success }) => !success).map(({ collector }) => collector)
  return [
    ...(counts.length > 0
      ? [`Failed reads: ${counts.map(([reason, count]) => `${reason} ${count}`).join(', ')}`]
      : []),
    ...(failed.length > 0 ? [`Failed collectors: ${failed.join(', ')}`] : []),
  ]
}
