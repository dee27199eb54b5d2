// What helps against a cause, best first, at most two, each with what it buys and the command for that namespace. Pure.

import type { PortRange } from '../observation.ts'
import type { CauseName, Namespace, NamespaceState, Pool } from '../snapshot.ts'
import { renderOwner } from './cause-words.ts'
import { renderPorts, renderRangeCommand, renderSettingCommand } from './commands.ts'
import { type Entrance, openEntrance } from './entrance.ts'
import { planRange } from './range-plan.ts'
import { isLoopback } from './reuse.ts'
import { renderCount, renderNumber } from './words.ts'

export interface Remedy {
  readonly advice: string
  /** Computed from the sample. */
  readonly buys: string
  /** Shows what the change would meet, to be typed first. */
  readonly check?: string | undefined
  /** A command for the node, as it is; undefined where there is none, or no safe one. */
  readonly command: string | undefined
  /** Why there is no command although one would do it, as a sentence. */
  readonly missing?: string | undefined
  /** Lines for the spec of a pod as YAML, undefined for everything else. */
  readonly podSpec: string | undefined
}

export interface Case {
  readonly namespace: Namespace
  readonly state: NamespaceState
  readonly pool: Pool
}

type Propose = (one: Case, entrance: Entrance) => Remedy | undefined

const MOST = 2

/** Remedies need a cause: where none is known there is nothing to say. */
export function listRemedies(one: Case): readonly Remedy[] {
  const cause = one.pool.cause?.cause
  if (cause === undefined) return []
  const entrance = openEntrance(one.namespace)
  return plans[cause].flatMap((propose) => propose(one, entrance) ?? []).slice(0, MOST)
}

const widen: Propose = ({ namespace, state }, entrance) => {
  const plan = planRange(namespace, state)
  if (plan === undefined) return undefined
  const { range, reserve, buys } = plan
  const reserved =
    reserve.length === 0 ? '' : `, after reserving the NodePorts ${renderPorts(reserve)}`
  return {
    advice:
      `Widen the port range to ${range.first}-${range.last}${reserved}. A service that listens in the new part can lose its ` +
      'port at a restart unless that is reserved.',
    check: entrance.runScript(`ss -Htuln "${plan.added.map(selectPorts).join(' or ')}"`),
    buys,
    command: renderRangeCommand(entrance, range, reserve),
    missing: entrance.missing,
    podSpec:
      namespace.netnsKind === 'pod'
        ? renderPodSpec('net.ipv4.ip_local_port_range', `${range.first} ${range.last}`)
        : undefined,
  }
}

function selectPorts({ first, last }: PortRange): string {
  return `sport >= :${first} and sport <= :${last}`
}

function renderPodSpec(name: string, value: string): string {
  return `securityContext:\n  sysctls:\n    - name: ${name}\n      value: "${value}"`
}

/** Where the kernel may not recycle the TIME_WAITs, although it could. */
const reuse: Propose = ({ state, pool }, entrance) => {
  const { tcpTwReuse, tcpTimestamps, tcpTwReuseDelaySeconds = 1 } = state.settings
  const { worstDestination, heldPorts } = pool
  if (pool.pool !== 'tcp_connect' || worstDestination === undefined) return undefined
  if (tcpTwReuse === undefined || tcpTimestamps === undefined) return undefined
  const loopback = isLoopback(worstDestination)
  const wanted = loopback ? 2 : 1
  const enough = tcpTwReuse === 1 || (tcpTwReuse === 2 && loopback)
  if ((enough && tcpTimestamps !== 0) || heldPorts.time_wait === 0) return undefined
  const ports = renderCount(heldPorts.time_wait, 'port')
  return {
    advice:
      'Let connect() take TIME_WAIT ports again. The other end needs TCP timestamps as well, which most have; ports that were ' +
      'bound before connect() stay closed.',
    buys:
      tcpTimestamps === 0
        ? `frees ${ports} within 60 s: connections that are made from now on have timestamps`
        : `frees ${ports} as soon as each is ${tcpTwReuseDelaySeconds} s old`,
    command: renderSettingCommand(entrance, {
      ...(tcpTimestamps === 0 && { tcp_timestamps: 1 }),
      ...(!enough && { tcp_tw_reuse: wanted }),
    }),
    missing: entrance.missing,
    podSpec: undefined,
  }
}

const keepOpen: Propose = ({ namespace, pool }) => ({
  advice: `Let ${nameOwner({ namespace, pool })} keep connections open and share them (keep-alive, a pool of connections).`,
  buys: `frees ${renderCount(pool.heldPorts.time_wait + pool.heldPorts.fin_wait, 'port')} within 60 s`,
  command: undefined,
  podSpec: undefined,
})

/** ss -K ends exactly these sockets, where the kernel has CONFIG_INET_DIAG_DESTROY. */
const closeHalfClosed: Propose = ({ namespace, pool }, { runScript, missing }) => ({
  advice:
    `Restart ${nameOwner({ namespace, pool })}, which must close a connection when the other end does; or end these ` +
    'connections from outside: the other end has closed them already.',
  buys: `frees ${renderCount(pool.cause?.ports ?? 0, 'port')} at once`,
  command: selectDestination(pool, (selected) => runScript(`ss -tK state close-wait ${selected}`)),
  missing,
  podSpec: undefined,
})

/** Undefined where no single destination is to blame: CLOSE_WAIT to others may be the way of a healthy program. */
function selectDestination(
  { pool, worstDestination }: Pool,
  use: (selected: string) => string | undefined,
): string | undefined {
  const { destination = '' } = worstDestination ?? {}
  // The model writes addresses with these characters only.
  const isKnown = pool === 'tcp_connect' && /^[\da-f.:[\]]+$/.test(destination)
  return isKnown ? use(`dst "${destination}"`) : undefined
}

function restart(what: string): Propose {
  return ({ namespace, pool }) => ({
    advice: `Let ${nameOwner({ namespace, pool })} close ${what}, or restart it.`,
    buys: `frees ${renderCount(pool.cause?.ports ?? 0, 'port')} at once`,
    command: undefined,
    podSpec: undefined,
  })
}

const addAddresses: Propose = ({ pool }) => ({
  advice:
    pool.pool === 'tcp_connect'
      ? 'Add a destination or a source address: each pair of them has a pool of its own.'
      : 'Bind to one address instead of the wildcard where the program allows it: each address has a pool of its own.',
  buys: `gives another ${renderCount(pool.capacityPorts, 'port')} for each address`,
  command: undefined,
  podSpec: undefined,
})

const bindLater: Propose = ({ namespace, state, pool }) => ({
  advice:
    `Let ${nameOwner({ namespace, pool })} set IP_BIND_ADDRESS_NO_PORT before bind(), or not bind at all: connect() then ` +
    'chooses the port.',
  buys: `gives each of ${renderCount(state.destinations?.count ?? 1, 'destination')} ${renderNumber(pool.capacityPorts)} ports of its own`,
  command: undefined,
  podSpec: undefined,
})

const moveListeners: Propose = ({ pool }) => ({
  advice: 'Move the services that listen inside the range out of it.',
  buys: `frees ${renderCount(pool.heldPorts.listener, 'port')}`,
  command: undefined,
  podSpec: undefined,
})

const shareThroughNat: Propose = ({ namespace, pool }) => ({
  advice:
    `Let ${renderOwner(namespace, pool.cause?.owners[0]) ?? 'the clients behind the NAT'} keep connections to that ` +
    'destination open and share them (keep-alive, a pool of connections).',
  buys: `frees up to ${renderCount(pool.cause?.ports ?? 0, 'port')}`,
  command: undefined,
  podSpec: undefined,
})

const addNatAddress: Propose = ({ pool }) => ({
  advice:
    'Add NAT addresses, or widen the range of the NAT rule: ip_local_port_range has no influence on it.',
  buys: `gives another ${renderCount(pool.capacityPorts, 'port')} for each address and destination`,
  command: undefined,
  podSpec: undefined,
})

const plans: Readonly<Record<CauseName, readonly Propose[]>> = {
  churn: [reuse, keepOpen, widen],
  open_leak: [restart('the connections that it no longer uses'), widen],
  close_wait: [closeHalfClosed, widen],
  bound_idle: [restart('the sockets that it bound and does not use'), widen],
  bind_before_connect: [bindLater, widen],
  listeners: [widen, moveListeners],
  many_connections: [widen, addAddresses],
  nat_churn: [shareThroughNat, addNatAddress],
  nat_connections: [shareThroughNat, addNatAddress],
  udp_sockets: [restart('the UDP sockets that it no longer uses'), widen],
  unknown: [widen],
}

function nameOwner({ namespace, pool }: Pick<Case, 'namespace' | 'pool'>): string {
  return renderOwner(namespace, pool.cause?.owners[0]) ?? 'the program'
}
