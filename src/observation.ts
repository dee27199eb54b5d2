// Contract INTO the pure core: what a source read in one network namespace at one moment.
// Sources fill these values, model/ consumes them; nothing here knows how the kernel was asked.

export type Protocol = 'tcp' | 'udp'

/** Inclusive on both ends. */
export interface PortRange {
  readonly first: number
  readonly last: number
}

/** The sysctls of the namespace that decide which port the kernel hands out next. */
export interface NetSettings {
  /** net.ipv4.ip_local_port_range, which governs IPv6 as well. */
  readonly range: PortRange
  /** net.ipv4.ip_local_reserved_ports, ascending and disjoint, and its text; may reach beyond the range. */
  readonly reserved: readonly PortRange[]
  readonly reservedText: string
  /** False where no IPv6 socket can exist: the wildcard :: then is no constraint. */
  readonly ipv6: boolean
  /** net.ipv4.tcp_tw_reuse; undefined where unknown, and then nothing counts as reclaimable. */
  readonly tcpTwReuse: number | undefined
  /** net.ipv4.tcp_tw_reuse_delay, 1000 on kernels without it. */
  readonly tcpTwReuseDelayMs: number
  /** Whether the sysctl tcp_tw_reuse_delay exists (Linux 6.14). */
  readonly tcpTwReuseDelayKnown: boolean
  /** net.ipv4.tcp_timestamps. */
  readonly tcpTimestamps: number | undefined
  /** net.ipv4.tcp_max_tw_buckets; undefined also where it is -1, no limit. */
  readonly tcpMaxTwBuckets: number | undefined
  /** net.ipv4.ip_autobind_reuse: with 1, sockets with SO_REUSEADDR may share a port that bind(0) gives them. */
  readonly autobindReuse?: number | undefined
  /** net.ipv4.ip_local_port_step_width (Linux 7.0): the order in which connect() tries ports; it tries all of them. */
  readonly portStepWidth?: number | undefined
}

/** Codes of SocketBatch.state are indexes of this table. `bound`: holds a port, neither connected nor listening. */
export const socketStates = [
  'unknown',
  'established',
  'syn_sent',
  'syn_recv',
  'fin_wait1',
  'fin_wait2',
  'time_wait',
  'close',
  'close_wait',
  'last_ack',
  'listen',
  'closing',
  'bound',
] as const

/** The codes by name. A connected UDP socket is `established`, an unconnected one `bound`. */
export const STATE = {
  unknown: 0,
  established: 1,
  synSent: 2,
  synRecv: 3,
  finWait1: 4,
  finWait2: 5,
  timeWait: 6,
  close: 7,
  closeWait: 8,
  lastAck: 9,
  listen: 10,
  closing: 11,
  bound: 12,
} as const

/** Bits of SocketBatch.flags. */
export const FLAG = {
  /** IPV6_V6ONLY, known for listening and bound sockets only. */
  ipv6Only: 1,
  /** A timewait minisock: TIME_WAIT, or FIN_WAIT2 whose owner has gone. */
  minisock: 2,
  /** Both sides sent TCP timestamps, or they did not: asked for now and then, never of a minisock. */
  timestamps: 4,
  noTimestamps: 8,
} as const

/**
 * Some sockets of one protocol as columns; row i is entry i of every column. The arrays belong to the reader and are
 * overwritten by its next batch, so a caller that wants to keep a row copies it.
 */
export interface SocketBatch {
  protocol: Protocol
  /**
   * True when the kernel said that the applications chose these ports themselves (bind to a port other than 0). Says
   * nothing of TCP sockets that are only bound.
   */
  explicit: boolean
  /** Rows in use. */
  length: number
  /** An index of socketStates. */
  readonly state: Uint8Array
  /** Bits of FLAG. */
  readonly flags: Uint8Array
  readonly localPort: Uint16Array
  readonly remotePort: Uint16Array
  /** Four words a row, most significant first; IPv4 as ::ffff:a.b.c.d, so that v4-mapped sockets fold by themselves. */
  readonly localAddress: Uint32Array
  readonly remoteAddress: Uint32Array
  /** Interface index the socket is bound to, 0 for none. */
  readonly device: Uint32Array
  /** Time until a minisock is gone; 0 on all others. */
  readonly expiresMs: Uint32Array
  readonly uid: Uint32Array
  /** Inode of the owner's cgroup v2 directory, 0 where unknown. */
  readonly cgroupId: Float64Array
  /** Inode of a socket that listens or is only bound; 0 on all others, and where it is unknown. */
  readonly inode: Uint32Array
}

/**
 * How much a number may claim: `upper_bound` when bound-idle or explicitly bound ports cannot be seen, `inferred` when
 * memory, parity, refusals or other connections told what no listing shows. A reading never says so, the model does.
 */
export type Exactness = 'exact' | 'inferred' | 'upper_bound'
/** What reads sockets, the most exact one first: label values and the choices of --source. */
export const readers = ['netlink', 'procfs', 'systeminformation'] as const
export type Reader = (typeof readers)[number]
/** Where the port range comes from: the kernel, the pod's spec, or the documented default. */
export type RangeOrigin = 'sysctl' | 'pod_spec' | 'default'

/** A network device that sockets are bound to. */
export interface Device {
  readonly name: string
  /** A VRF, or a part of one: bind buckets are of each VRF, and the listing does not say of which (l3mdev). */
  readonly vrf: boolean
}

/** One look at one namespace. */
export interface NamespaceReading {
  /** `host`, or `self` when the exporter runs in another than the initial namespace. */
  readonly netns: 'host' | 'self'
  readonly reader: Reader
  readonly exactness: Exactness
  /** Whether the reader sees all sockets that this kernel lists: what it lacks then, no other reader shows. */
  readonly readerIsExact: boolean
  readonly rangeOrigin: RangeOrigin
  readonly settings: NetSettings
  /** What could be read at all: a protocol that is missing here is unknown, not unused. */
  readonly protocols: readonly Protocol[]
  /** Whether TCP sockets that are only bound, and ports that applications chose, can be told. */
  readonly tcpBoundKnown: boolean
  /** Whether a port opens to connect() again when the socket goes whose bind() closed it (Linux 6.17.8). */
  readonly portsReopen: boolean
  /** Whether TCP ports that applications chose can be told from those that bind(0) gave them. */
  readonly tcpChoiceKnown: boolean
  /** Whether UDP ports that applications chose can be told. */
  readonly udpListenersKnown: boolean
  /** What tells who holds a socket: the column cgroupId, or where it says nothing uid; undefined where neither does. */
  readonly ownersBy: 'cgroup' | 'user' | undefined
  /** Whether the calling thread is in the namespace while `batches` are read: allocations can be tried in it. */
  readonly canProbe: boolean
  /** Consumed once, in order; reading may throw SourceError or DecodeError while it goes on. */
  readonly batches: Iterable<SocketBatch>
  /** Tcp ActiveOpens of the namespace, undefined where unknown. */
  readonly activeOpens: number | undefined
  /** UDP ports at which the kernel itself listens for tunnels; undefined where unknown. */
  readonly tunnelPorts?: ReadonlySet<number> | undefined
  /** TcpExt TWRecycled of the namespace, undefined where unknown. */
  readonly timeWaitRecycled?: number | undefined
}

/** Why a namespace could not be read; label values, so the set is closed. */
export const readErrorReasons = [
  'permission',
  'vanished',
  'malformed',
  'timeout',
  'unsupported',
  'exhausted',
] as const
export type ReadErrorReason = (typeof readErrorReasons)[number]

/** Counts for each reason, all zero. */
export function countNoReadErrors(): Record<ReadErrorReason, number> {
  const none = readErrorReasons.map((reason) => [reason, 0])
  return Object.fromEntries(none) as Record<ReadErrorReason, number>
}

/** The world refused: judged in one place, the sampler, where it becomes data. */
export class SourceError extends Error {
  readonly reason: ReadErrorReason

  constructor(reason: ReadErrorReason, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SourceError'
    this.reason = reason
  }
}

/** The bytes or the text are wrong. `offset` counts bytes of the datagram, or characters of the line. */
export class DecodeError extends RangeError {
  readonly offset: number

  constructor(message: string, offset: number) {
    super(`${message} (at offset ${offset})`)
    this.name = 'DecodeError'
    this.offset = offset
  }
}

/** Creates an empty batch with room for `capacity` rows. */
export function createSocketBatch(capacity: number): SocketBatch {
  return {
    protocol: 'tcp',
    explicit: false,
    length: 0,
    state: new Uint8Array(capacity),
    flags: new Uint8Array(capacity),
    localPort: new Uint16Array(capacity),
    remotePort: new Uint16Array(capacity),
    localAddress: new Uint32Array(capacity * 4),
    remoteAddress: new Uint32Array(capacity * 4),
    device: new Uint32Array(capacity),
    expiresMs: new Uint32Array(capacity),
    uid: new Uint32Array(capacity),
    cgroupId: new Float64Array(capacity),
    inode: new Uint32Array(capacity),
  }
}

/** One direction of some conntrack entries as columns. Addresses are IPv4 as numbers. */
export interface ConntrackTuples {
  readonly source: Uint32Array
  readonly destination: Uint32Array
  readonly sourcePort: Uint16Array
  readonly destinationPort: Uint16Array
  /** Conntrack zone, 0 for the usual one. */
  readonly zone: Uint16Array
}

/** Some conntrack entries of TCP and UDP over IPv4 as columns, as in SocketBatch. */
export interface ConntrackBatch {
  /** Rows in use. */
  length: number
  /** 6 is TCP, 17 is UDP. */
  readonly protocol: Uint8Array
  /** 1 where the kernel rewrote the source address or the source port. */
  readonly sourceNat: Uint8Array
  /** 1 where a kernel that evicts may give the port away: a closing TCP entry with a translated source. */
  readonly evictable: Uint8Array
  /** The tuple of the first packet as it came in. */
  readonly original: ConntrackTuples
  /** The tuple of answers as they come in: its destination is the NAT address where the source is translated. */
  readonly reply: ConntrackTuples
}

/** Creates an empty batch with room for `capacity` rows. */
export function createConntrackBatch(capacity: number): ConntrackBatch {
  const createTuples = (): ConntrackTuples => ({
    source: new Uint32Array(capacity),
    destination: new Uint32Array(capacity),
    sourcePort: new Uint16Array(capacity),
    destinationPort: new Uint16Array(capacity),
    zone: new Uint16Array(capacity),
  })
  return {
    length: 0,
    protocol: new Uint8Array(capacity),
    sourceNat: new Uint8Array(capacity),
    evictable: new Uint8Array(capacity),
    original: createTuples(),
    reply: createTuples(),
  }
}

/** A rule that translates source addresses, as far as it says which ports and addresses it takes. */
export interface NatRule {
  /** Undefined where it takes both, or where its condition is not a plain comparison. */
  readonly protocol: Protocol | undefined
  /** Inclusive IPv4 addresses as numbers. Undefined of masquerade, and where a map decides. */
  readonly addresses: { readonly first: number; readonly last: number } | undefined
  /** Undefined where it names none: the kernel stays in the class of the original port. Unknown where a map decides. */
  readonly ports: PortRange | 'unknown' | undefined
}

/** One look at the entries of one namespace that translates sources, or might. */
export interface NatReading {
  /** Undefined where they could not be read. */
  readonly rules: readonly NatRule[] | undefined
  /** Whether the old iptables may have rules too, which are never read. */
  readonly unreadRules: boolean
  /** Whether this kernel gives away ports of closing entries (Linux 6.5). Where that is not known it does not. */
  readonly evicts: boolean
  /** Entries with a translated source, perhaps among others. Reading may throw SourceError or DecodeError. */
  readonly translated: Iterable<ConntrackBatch>
  /**
   * Entries whose destination in that direction is one of these addresses, perhaps among others; of the reply those
   * with a translated source may be missing.
   */
  readonly others: (
    direction: 'reply' | 'original',
    addresses: readonly number[],
  ) => Iterable<ConntrackBatch>
}
