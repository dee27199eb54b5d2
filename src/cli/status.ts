// The command `status`: Snapshot -> tables for people, JSON for programs, an exit status for scripts. Pure.

import type { Namespace, NamespaceState, Snapshot } from '../snapshot.ts'
import { judgeSnapshot } from './health.ts'
import {
  renderDuration,
  renderPercent,
  renderRisk,
  renderTable,
  renderVisible,
  terminalColumns,
  wrap,
} from './text.ts'

/** 0 healthy, 1 warning, 2 critical, 3 nothing could be read. */
export function statusExitCode(snapshot: Snapshot): 0 | 1 | 2 | 3 {
  if (!snapshot.namespaces.some(({ state }) => state !== undefined)) return 3
  const { health } = judgeSnapshot(snapshot)
  return health === 'critical' ? 2 : health === 'warning' ? 1 : 0
}

/** One line, so that `--watch --json` is a stream of lines. What is not known is left out. */
export function renderStatusJson(snapshot: Snapshot): string {
  return `${JSON.stringify(snapshot)}\n`
}

/** Ends in a line break. */
export function renderStatus(snapshot: Snapshot): string {
  const readable = snapshot.namespaces.filter(hasState)
  const detailed = readable.filter((namespace) => namespace.detailed)
  const blocks = [
    renderVerdict(snapshot),
    ...(detailed.length > 0 ? [renderPools(detailed)] : []),
    renderQuiet(readable.length - detailed.length),
    ...detailed.flatMap(({ netns, state }) => renderNamespace(netns, state)),
    renderFailures(snapshot),
  ]
  return blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => `${lines.join('\n')}\n`)
    .join('\n')
}

/** A node with a hundred pods would fill screens with nothing. */
function renderQuiet(count: number): string[] {
  if (count === 0) return []
  const namespaces = count === 1 ? 'namespace is quiet' : 'namespaces are quiet'
  return [
    `${count} other ${namespaces}: every pool below --detail.min-utilization (--json has them)`,
  ]
}

type ReadNamespace = Namespace & { readonly state: NamespaceState }

function hasState(namespace: Namespace): namespace is ReadNamespace {
  return namespace.state !== undefined
}

function renderVerdict(snapshot: Snapshot): string[] {
  const { health, reasons } = judgeSnapshot(snapshot)
  const takenAt = new Date(snapshot.takenAtSeconds * 1000).toISOString()
  const verdict = statusExitCode(snapshot) === 3 ? 'nothing could be read' : health
  return [
    `${takenAt.replace(/\.\d+Z$/, 'Z')}  ${verdict}`,
    ...reasons.flatMap((reason) => renderItem(renderVisible(reason))),
  ]
}

function renderItem(text: string): string[] {
  return wrap(text, terminalColumns - 4).map((line, i) => (i === 0 ? `  - ${line}` : `    ${line}`))
}

function renderPools(namespaces: readonly ReadNamespace[]): string[] {
  const rows = namespaces.flatMap(({ netns, state }) =>
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
  )
  const pools = namespaces.flatMap(({ state }) => state.pools)
  return pools.some(({ riskRatio }) => riskRatio === undefined)
    ? [
        ...table,
        'RISK and ETA need more than a few samples: --watch or the running exporter has them.',
      ]
    : table
}

function renderNamespace(netns: string, state: NamespaceState): string[][] {
  return [
    renderFacts(netns, state),
    renderDestinations(state),
    renderOwners(state),
    renderListeners(state),
  ]
}

function renderFacts(netns: string, state: NamespaceState): string[] {
  const { firstPort, lastPort, reservedPorts, usablePorts } = state.settings
  const { listener, bound } = state.blockedPorts
  const perProtocol = (render: (use: NamespaceState['protocols'][number]) => string) =>
    state.protocols.map((use) => `${use.protocol} ${render(use)}`).join(', ') || '-'
  const hidden =
    state.exactness === 'upper_bound' ? ' (fewer ports may be available than shown)' : ''
  return [
    ...wrap(`Namespace ${renderVisible(netns)}`, terminalColumns),
    `  Port range     ${firstPort}-${lastPort} (${state.rangeOrigin}), ${reservedPorts} reserved, ${usablePorts} usable`,
    `  Read by        ${state.reader}, ${state.exactness}${hidden}`,
    `  Used ports     ${perProtocol((use) => String(use.usedPorts))}`,
    `  Blocked ports  ${listener} by listeners, ${bound ?? '-'} bound`,
    `  Listeners      ${perProtocol((use) => String(use.listeners ?? '-'))} inside the range and not reserved`,
  ]
}

function renderDestinations({ destinations }: NamespaceState): string[] {
  if (destinations === undefined || destinations.rows.length === 0) return []
  const { count, rows, other } = destinations
  const cells = rows.map((row) => [
    row.destination,
    row.source,
    String(row.usedPorts),
    String(row.timeWaitPorts),
    renderPercent(row.utilizationRatio),
  ])
  if (other !== undefined) {
    cells.push(['other', '-', String(other.usedPorts), String(other.timeWaitPorts), '-'])
  }
  return [
    `  Top destinations, ${rows.length} of ${count}`,
    ...renderIndented(
      [
        { title: 'DESTINATION', shrinks: true },
        { title: 'SOURCE', shrinks: true },
        { title: 'PORTS', align: 'right' },
        { title: 'TIME_WAIT', align: 'right' },
        { title: 'USED', align: 'right' },
      ],
      cells,
    ),
  ]
}

function renderOwners({ owners }: NamespaceState): string[] {
  if (owners === undefined || owners.length === 0) return []
  return [
    '  Who holds the ports',
    ...renderIndented(
      [
        { title: 'PROTOCOL' },
        { title: 'OWNER', shrinks: true },
        { title: 'KIND' },
        { title: 'PORTS', align: 'right' },
      ],
      owners.map(({ protocol, owner, ownerKind, usedPorts }) => [
        protocol,
        owner,
        ownerKind,
        String(usedPorts),
      ]),
    ),
  ]
}

function renderListeners({ listeners, protocols }: NamespaceState): string[] {
  if (listeners.length === 0) return []
  const count = protocols.reduce((sum, use) => sum + (use.listeners ?? 0), 0)
  return [
    `  Listeners inside the range, ${listeners.length} of ${Math.max(count, listeners.length)}`,
    ...renderIndented(
      [{ title: 'PROTOCOL' }, { title: 'PORT', align: 'right' }, { title: 'OWNER', shrinks: true }],
      listeners.map(({ protocol, port, owner }) => [protocol, String(port), owner]),
    ),
  ]
}

function renderIndented(...[columns, rows]: Parameters<typeof renderTable>): string[] {
  return renderTable(columns, rows, terminalColumns - 2).map((line) => `  ${line}`)
}

function renderFailures({ failures, collectors }: Snapshot): string[] {
  const counts = Object.entries(failures).filter(([, count]) => count > 0)
  const failed = collectors.filter(({ success }) => !success).map(({ collector }) => collector)
  return [
    ...(counts.length > 0
      ? [`Failed reads: ${counts.map(([reason, count]) => `${reason} ${count}`).join(', ')}`]
      : []),
    ...(failed.length > 0 ? [`Failed collectors: ${failed.join(', ')}`] : []),
  ]
}
