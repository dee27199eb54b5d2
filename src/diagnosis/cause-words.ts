// What fills a pool, in a sentence: cause, share, owner and rate. Pure.

import type { Cause, CauseName, Namespace, NamespaceState, OwnerShare, Pool } from '../snapshot.ts'
import { mayBeFull } from './severity.ts'
import { renderCount, renderNumber, renderRate } from './words.ts'

/** TIME_WAIT lasts that long, whatever the settings (include/net/tcp.h: TCP_TIMEWAIT_LEN). */
export const TIME_WAIT_SECONDS = 60

/** How the ports that a cause explains are held, to follow `400 of 400 `. */
const held: Readonly<Record<CauseName, string>> = {
  churn: 'wait in TIME_WAIT',
  open_leak: 'are held by open connections that pile up',
  close_wait: 'are in CLOSE_WAIT',
  bound_idle: 'are held by sockets that are bound and idle',
  bind_before_connect: 'are held by connections whose port was bound first',
  listeners: 'are held by listeners',
  many_connections: 'are held by open connections',
  udp_sockets: 'are held by UDP sockets',
  nat_churn: 'are held by connections through the NAT that are closed',
  nat_connections: 'are held by connections through the NAT',
  unknown: 'are held, it is not known by what',
}

/** Why that fills the pool. */
const meaning: Readonly<Record<CauseName, string>> = {
  churn: 'Each connection that this side closes withholds its port for 60 s.',
  open_leak: 'Connections are opened and hardly ever closed.',
  close_wait:
    'The other end has closed these connections, and the program never closes its own end.',
  bound_idle:
    'A port that a program got from bind() is closed to every connect() of the namespace, however idle the socket is.',
  bind_before_connect:
    'A port that was bound before connect() is closed to all other destinations: they share one pool.',
  listeners: 'A port that is listened on is closed to every connect() of the namespace.',
  many_connections: 'So many connections are open at the same time.',
  udp_sockets: 'UDP has one pool for all destinations.',
  nat_churn:
    'Conntrack keeps the port of a closed connection for up to 120 s, and this kernel does not give it away before.',
  nat_connections:
    'Each NAT address has one range of ports for each destination. What finds none in it is dropped without an error.',
  unknown: '',
}

/** What may hold the ports in doubt. */
const guessed: Partial<Record<CauseName, string>> = {
  churn: 'TIME_WAITs that cannot be recycled',
  bind_before_connect: 'connections whose port was bound first',
}

/** Whether a cause stands for nothing but the ports in doubt. */
export function isGuess({ cause, ports }: Pick<Cause, 'cause' | 'ports'>, pool: Pool): boolean {
  return mayBeFull(pool) && guessed[cause] !== undefined && ports === pool.uncertainPorts
}

/** `400 of 400 ports are in CLOSE_WAIT`, of the whole pool. */
export function renderHeld({ cause, ports }: Cause, pool: Pool): string {
  const { capacityPorts, heldPorts } = pool
  const halfClosed = cause === 'churn' && heldPorts.fin_wait > heldPorts.time_wait
  // Of a port in doubt the model says nothing but that.
  if (isGuess({ cause, ports }, pool))
    return `${renderNumber(ports)} of ${renderCount(capacityPorts, 'port')} may be held by ${guessed[cause]}`
  const how = halfClosed ? 'wait in FIN_WAIT for the other end to close' : held[cause]
  return `${renderNumber(ports)} of ${renderCount(capacityPorts, 'port')} ${how}`
}

export function renderMeaning({ cause }: Cause): string {
  return meaning[cause]
}

/** `payments (PID 4711, node)`; undefined where nobody can be named. */
export function renderOwner(
  { programs }: Namespace,
  share: OwnerShare | undefined,
): string | undefined {
  if (share === undefined || share.ownerKind === 'unknown') return undefined
  const { owner, ownerKind } = share
  const found = programs.find((one) => one.owner === owner && one.ownerKind === ownerKind)
  const name = ownerKind === 'user' ? `user ${owner}` : owner
  return found === undefined ? name : `${name} (PID ${found.pid}, ${found.program})`
}

/**
 * Connections a second that end in TIME_WAIT, from the kernel's own timers: of the whole namespace over the last half
 * minute. Undefined where the reader cannot see them.
 */
export function closingRate({ timeWaitRelease }: NamespaceState): number | undefined {
  const within = (seconds: number) =>
    timeWaitRelease.find(({ withinSeconds }) => withinSeconds === seconds)?.ports
  const [half, all] = [within(TIME_WAIT_SECONDS / 2), within(TIME_WAIT_SECONDS)]
  if (half === undefined || all === undefined) return undefined
  return (all - half) / (TIME_WAIT_SECONDS / 2)
}

/** What churn costs: so many connections a second, so many ports. */
export function renderChurn(state: NamespaceState, pool: Pool): string {
  const sustainable = pool.capacityPorts / TIME_WAIT_SECONDS
  const rate = closingRate(state)
  const now =
    rate === undefined || rate === 0
      ? ''
      : `About ${renderRate(rate)} connections a second were closed in the last half minute. `
  return `${now}${renderCount(pool.capacityPorts, 'port')} sustain ${renderRate(sustainable)} a second to one destination.`
}
