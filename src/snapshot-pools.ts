// Contract OUT, its pools: what is left of each, who talks to whom, and who holds the ports.

/**
 * A local address and the remote it talks to, as text: `10.0.0.5` and `10.0.0.9:443`, IPv6 in brackets before a port.
 */
export interface Destination {
  /** Ends in `%eth1` where the sockets are bound to a device, or in its index where the name is not known. */
  readonly source: string
  readonly destination: string
}

export type OwnerKind =
  | 'unit'
  | 'container'
  | 'pod'
  | 'cgroup'
  | 'user'
  /** The kernel itself, which listens for a tunnel. */
  | 'kernel'
  /** The namespace that has an address behind a NAT, by the label netns. */
  | 'netns'
  /** Ownerless, and never seen alive. */
  | 'none'
  /** The kernel names an owner that cannot be resolved. */
  | 'unknown'
  /** Owners that did not make the top. */
  | 'other'

export interface OwnerName {
  readonly owner: string
  readonly ownerKind: OwnerKind
}

/** Ports that sockets of the namespace itself ask for. */
export type SocketPoolName = 'tcp_connect' | 'tcp_bind' | 'udp'

export type PoolName = SocketPoolName | NatPoolName

/** Pools of a namespace that translates source addresses: what one NAT address has for one destination. */
export type NatPoolName = 'nat_tcp' | 'nat_udp'

/** What holds a port: sockets by state, and sockets that close their port to every connect(). */
export const holders = [
  'established',
  'time_wait',
  'close_wait',
  'fin_wait',
  'syn_sent',
  /** A socket that is bound and not connected, or whose port the program chose. */
  'bound',
  'listener',
  /** A connection whose port was bound first, as tests or memory tell. */
  'hidden',
  'other',
] as const
export type Holder = (typeof holders)[number]

/** What fills a pool, in the words of the label `cause`. */
export const causeNames = [
  /** Connections that are opened and closed faster than TIME_WAIT lets their ports go. */
  'churn',
  /** Connections that are opened and never closed. */
  'open_leak',
  /** The other end has closed, the program has not. */
  'close_wait',
  'bound_idle',
  'bind_before_connect',
  'listeners',
  /** Connections that are open at the same time, and not known to pile up. */
  'many_connections',
  'udp_sockets',
  /** Connections through the NAT that are closed, and whose ports are held for a while. */
  'nat_churn',
  /** Connections through the NAT that are open. */
  'nat_connections',
  'unknown',
] as const
export type CauseName = (typeof causeNames)[number]

/** An owner and how many ports of a cause it holds. */
export interface OwnerShare extends OwnerName {
  readonly ports: number
}

export interface Cause {
  readonly cause: CauseName
  /** Ports that it explains, of those that are not available. */
  readonly ports: number
  /** Who holds them, most first, at most three. Empty where nothing tells owners. */
  readonly owners: readonly OwnerShare[]
}

export interface Pool {
  readonly pool: PoolName
  /** Ports the pool can ever hand out. */
  readonly capacityPorts: number
  /** How many more allocations will succeed now; for tcp_connect at the worst destination. */
  readonly availablePorts: number
  /** Ports without any socket: the lower bound of what is available. Undefined where bound sockets cannot be seen. */
  readonly unusedPorts: number | undefined
  /** Ports counted as available of which it is not known whether bind() has closed them; tcp_connect only. */
  readonly uncertainPorts: number | undefined
  /** 1 - available / capacity; 1 for a pool without capacity. */
  readonly utilizationRatio: number
  /** The highest of the trailing peak window. */
  readonly utilizationPeakRatio: number
  /** TIME_WAIT ports that connect() may recycle now; tcp_connect only. */
  readonly reclaimablePorts: number | undefined
  /** connect() to the worst destination has to scan past a full parity half; tcp_connect only. */
  readonly slow: boolean | undefined
  /** Probability that an allocation fails within the horizon; undefined until enough was seen. */
  readonly riskRatio: number | undefined
  /** Expected seconds until available reaches 0; undefined when not heading there. */
  readonly etaSeconds: number | undefined
  /** The destination behind the numbers; tcp_connect only, undefined while there is none. */
  readonly worstDestination: Destination | undefined
  /** What holds the ports that are not available; the counts add up to capacity - available. */
  readonly heldPorts: Readonly<Record<Holder, number>>
  /** What holds most of them; undefined while nothing is held. */
  readonly cause: Cause | undefined
}

/** Whether its cause is told: a pool past 80 %, or at risk of 0.2. */
export function isCauseShown({ utilizationRatio, riskRatio = 0 }: Pool): boolean {
  return utilizationRatio >= 0.8 || riskRatio >= 0.2
}
