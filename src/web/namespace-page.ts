// The page of one namespace: its pools, states, destinations, owners, listeners and failures. Namespace -> HTML.

import type { Diagnosis } from '../diagnosis/diagnose.ts'
import { diagnosePool, type PoolDiagnosis } from '../diagnosis/pool-diagnosis.ts'
import { hidesSockets, worstOf } from '../diagnosis/severity.ts'
import { renderDuration, renderNumber, renderPercent, renderRate } from '../diagnosis/words.ts'
import type { Namespace, NamespaceState } from '../snapshot.ts'
import { escapeHtml, renderCard, renderPage } from './page.ts'
import { renderSubtitle, type StatusPage } from './status-page.ts'

export function renderNamespacePage(page: StatusPage, namespace: Namespace): string {
  const { state, failure, netns } = namespace
  const pools = state === undefined ? [] : listPools(namespace, state, page.diagnosis)
  const isDropping = page.diagnosis.dropping.includes(netns)
  const isDoubted = page.diagnosis.doubted.includes(netns)
  const severity =
    state === undefined
      ? 'warning'
      : worstOf([
          ...pools.map((pool) => pool.severity),
          hidesSockets(state) ? 'note' : 'ok',
          isDropping ? 'critical' : isDoubted ? 'warning' : 'ok',
        ])
  const describe = () => {
    if (state === undefined) return `${netns} cannot be read`
    if (severity === 'ok') return `${netns} has enough ports`
    if (severity === 'note') {
      return `${netns}: no shortage of ports is in sight, but sockets that are only bound cannot be seen`
    }
    const worst = pools.find((pool) => pool.severity !== 'ok')
    if (isDropping && worst?.severity !== 'critical') return `${netns} drops new connections`
    if (isDoubted && worst === undefined) return `${netns} drops packets and may lack NAT ports`
    return `${netns}: ${worst?.headline}`
  }
  return renderPage(page, {
    title: describe(),
    severity,
    subtitle: `${renderSubtitle(page)}<p><a href="/">All namespaces</a></p>`,
    body:
      state === undefined
        ? `<p>${escapeHtml(failure?.message ?? 'Nothing is known of it.')}</p>`
        : [
            `<h2>Pools</h2><div class="cards">${pools.map((pool) => renderCard(pool, true)).join('\n')}</div>`,
            renderFacts(namespace, state, page),
            renderHeld(state),
            renderDestinations(state),
            renderOwners(state),
            renderListeners(state),
            renderFailures(namespace),
          ].join('\n'),
  })
}

function listPools(
  namespace: Namespace,
  state: NamespaceState,
  { pools }: Diagnosis,
): readonly PoolDiagnosis[] {
  return state.pools.map(
    (pool) =>
      pools.find((one) => one.netns === namespace.netns && one.pool === pool.pool) ??
      diagnosePool(namespace, state, { pool, failedAllocations: undefined }),
  )
}

function renderFacts(
  { netns, inode, oldest, entrance }: Namespace,
  state: NamespaceState,
  { diagnosis, snapshot }: StatusPage,
): string {
  const { settings, blockedPorts, timeWaitRelease } = state
  const rate = diagnosis.openingRates[netns]
  const facts: readonly (readonly [string, string | undefined])[] = [
    [
      'Port range',
      `${settings.firstPort}-${settings.lastPort} (${state.rangeOrigin}), ${settings.reservedPorts} reserved, ${renderNumber(settings.usablePorts)} usable`,
    ],
    [
      'Read',
      `by ${state.reader}, ${state.exactness}, ${renderDuration(Math.max(0, snapshot.takenAtSeconds - state.readAtSeconds))} before the sample`,
    ],
    ['Oldest process', oldest && `${oldest.program}, PID ${oldest.pid}`],
    ['Blocked ports', `${blockedPorts.listener} by listeners, ${blockedPorts.bound ?? '-'} bound`],
    ['Connections', rate === undefined ? undefined : `${renderRate(rate)} opened a second`],
    [
      'TIME_WAIT',
      timeWaitRelease.length === 0
        ? undefined
        : `free again: ${timeWaitRelease.map(({ ports, withinSeconds }) => `${renderNumber(ports)} in ${withinSeconds} s`).join(', ')}`,
    ],
    [
      'Reuse',
      `tcp_tw_reuse=${settings.tcpTwReuse ?? '?'}, tcp_timestamps=${settings.tcpTimestamps ?? '?'}`,
    ],
    [
      'Identity',
      [
        inode === undefined ? undefined : `net:[${inode}]`,
        entrance.name && `/run/netns/${entrance.name}`,
        entrance.pid && `PID ${entrance.pid}`,
      ]
        .filter(Boolean)
        .join(', ') || undefined,
    ],
    ...state.protocols.map(
      (use) =>
        [
          `${use.protocol.toUpperCase()} sockets`,
          Object.entries(use.sockets)
            .filter(([, count]) => count > 0)
            .map(([name, count]) => `${renderNumber(count)} ${name}`)
            .join(', ') || 'none',
        ] as const,
    ),
  ]
  return `<h2>Facts</h2><dl>${facts
    .filter(([, text]) => text !== undefined)
    .map(([name, text = '']) => `<dt>${name}</dt><dd>${escapeHtml(text)}</dd>`)
    .join('\n')}</dl>`
}

function renderHeld({ pools }: NamespaceState): string {
  const rows = pools.flatMap(({ pool, heldPorts }) =>
    Object.entries(heldPorts)
      .filter(([, count]) => count > 0)
      .map(([holder, count]) => [pool, holder, renderNumber(count)]),
  )
  return renderRows('What holds the ports', ['Pool', 'Holder', 'Ports'], rows)
}

function renderDestinations({ destinations }: NamespaceState): string {
  const rows = (destinations?.rows ?? []).map((row) => [
    row.destination,
    row.source,
    renderNumber(row.usedPorts),
    renderNumber(row.timeWaitPorts),
    renderPercent(row.utilizationRatio),
  ])
  const titles = ['Destination', 'From', 'Ports', 'TIME_WAIT', 'Used']
  return renderRows(`Destinations, ${rows.length} of ${destinations?.count ?? 0}`, titles, rows)
}

function renderOwners({ owners = [] }: NamespaceState): string {
  const rows = owners.map((row) => [
    row.owner,
    row.ownerKind,
    row.protocol,
    renderNumber(row.usedPorts),
  ])
  return renderRows('Owners', ['Owner', 'Kind', 'Protocol', 'Ports'], rows)
}

function renderListeners({ listeners }: NamespaceState): string {
  const rows = listeners.map(({ protocol, port, owner }) => [owner, protocol, String(port)])
  return renderRows('Listeners inside the range', ['Owner', 'Protocol', 'Port'], rows)
}

function renderFailures({ allocationFailures }: Namespace): string {
  const rows = (allocationFailures?.destinations ?? []).map(({ destination, owner, total }) => [
    destination,
    owner,
    renderNumber(total),
  ])
  return renderRows('Failed allocations', ['Destination', 'Owner', 'Failures'], rows)
}

/** Empty without rows. The last columns hold numbers where a cell begins with a digit. */
function renderRows(
  title: string,
  titles: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  if (rows.length === 0) return ''
  const isNumber = (column: number) =>
    rows.every((row) => /^\d[\d,]*(\.\d+)?%?$/.test(row[column] ?? ''))
  const kind = (column: number) => (isNumber(column) ? ' class="number"' : '')
  const head = titles.map((text, i) => `<th scope="col"${kind(i)}>${text}</th>`).join('')
  const body = rows.map(
    (row) => `<tr>${row.map((cell, i) => `<td${kind(i)}>${escapeHtml(cell)}</td>`).join('')}</tr>`,
  )
  return `<h2>${escapeHtml(title)}</h2><table><thead><tr>${head}</tr></thead><tbody>${body.join('\n')}</tbody></table>`
}
