// One namespace in full, as blocks of lines for a terminal: settings, sockets, destinations, owners, listeners. Pure.

import { closingRate } from '../diagnosis/cause-words.ts'
import { renderPercent, renderRate, renderVisible } from '../diagnosis/words.ts'
import type { Namespace, NamespaceState, ProtocolUse } from '../snapshot.ts'
import { paragraphWidth, renderLabelled, renderTable, type Terminal, wrap } from './text.ts'

export function renderNamespaceDetails(
  namespace: Namespace & { readonly state: NamespaceState },
  terminal: Terminal,
): string[][] {
  const { state } = namespace
  return [
    renderFacts(namespace, terminal),
    renderDestinations(state, terminal),
    renderOwners(state, terminal),
    renderListeners(state, terminal),
  ]
}

function renderFacts(
  { netns, oldest, state, allocationFailures }: Namespace & { readonly state: NamespaceState },
  terminal: Terminal,
): string[] {
  const { firstPort, lastPort, reservedPorts, usablePorts } = state.settings
  const { listener, bound } = state.blockedPorts
  const perProtocol = (render: (use: ProtocolUse) => string) =>
    state.protocols.map((use) => `${use.protocol} ${render(use)}`).join(', ') || '-'
  const { uncertainPorts = 0 } = state.pools.find(({ pool }) => pool === 'tcp_connect') ?? {}
  const fewer = uncertainPorts > 0 ? `up to ${uncertainPorts} fewer` : 'fewer'
  const isLess =
    state.exactness === 'upper_bound' || (state.exactness === 'inferred' && uncertainPorts > 0)
  const hidden = isLess ? ` (${fewer} ports may be available to connect() than shown)` : ''
  const rate = closingRate(state)
  const facts: readonly (readonly [string, string | undefined])[] = [
    [
      'Port range',
      `${firstPort}-${lastPort} (${state.rangeOrigin}), ${reservedPorts} reserved, ${usablePorts} usable`,
    ],
    ['Oldest process', oldest && `${renderVisible(oldest.program)}, PID ${oldest.pid}`],
    ['Read by', `${state.reader}, ${state.exactness}${hidden}`],
    ['Used ports', perProtocol((use) => String(use.usedPorts))],
    ['Sockets', perProtocol(renderStates)],
    ['Blocked ports', `${listener} by listeners, ${bound ?? '-'} bound`],
    [
      'Listeners',
      `${perProtocol((use) => String(use.listeners ?? '-'))} inside the range and not reserved`,
    ],
    ['TIME_WAIT', renderRelease(state, rate)],
    [
      'Failures',
      allocationFailures?.pools.map(({ pool, total }) => `${pool} ${total}`).join(', ') ||
        undefined,
    ],
  ]
  return [
    ...wrap(`Namespace ${renderVisible(netns)}`, paragraphWidth(terminal)),
    ...facts.flatMap(([name, text]) =>
      text === undefined ? [] : renderLabelled(`  ${name.padEnd(15)}`, text, terminal),
    ),
  ]
}

/** The states that have sockets. */
function renderStates({ sockets }: ProtocolUse): string {
  const present = Object.entries(sockets).filter(([, count]) => count > 0)
  if (present.length === 0) return 'none'
  return present.map(([name, count]) => `${count} ${name}`).join(' ')
}

/** Undefined where nothing waits, or nothing is known of it. */
function renderRelease({ timeWaitRelease }: NamespaceState, rate = 0): string | undefined {
  if (!timeWaitRelease.some(({ ports }) => ports > 0)) return undefined
  const within = timeWaitRelease.map(({ withinSeconds, ports }) => `${ports} in ${withinSeconds} s`)
  const closing = rate > 0 ? `; ${renderRate(rate)} connections a second closed lately` : ''
  return `ports free again: ${within.join(', ')}${closing}`
}

function renderDestinations({ destinations }: NamespaceState, terminal: Terminal): string[] {
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
      terminal,
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

function renderOwners({ owners }: NamespaceState, terminal: Terminal): string[] {
  if (owners === undefined || owners.length === 0) return []
  return [
    '  Who holds the ports',
    ...renderIndented(
      terminal,
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

function renderListeners({ listeners, protocols }: NamespaceState, terminal: Terminal): string[] {
  if (listeners.length === 0) return []
  const count = protocols.reduce((sum, use) => sum + (use.listeners ?? 0), 0)
  return [
    `  Listeners inside the range, ${listeners.length} of ${Math.max(count, listeners.length)}`,
    ...renderIndented(
      terminal,
      [{ title: 'PROTOCOL' }, { title: 'PORT', align: 'right' }, { title: 'OWNER', shrinks: true }],
      listeners.map(({ protocol, port, owner }) => [protocol, String(port), owner]),
    ),
  ]
}

function renderIndented(
  { columns }: Terminal,
  ...[titles, rows]: [Parameters<typeof renderTable>[0], Parameters<typeof renderTable>[1]]
): string[] {
  return renderTable(titles, rows, columns === undefined ? undefined : columns - 2).map(
    (line) => `  ${line}`,
  )
}
