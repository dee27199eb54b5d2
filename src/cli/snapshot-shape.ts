// Whether an answer is a Snapshot: what another process sent is checked whole before anything is made of it, commands
// above all. The types see to it that no field is forgotten.

import { isJsonObject } from '../json-object.ts'
import { type Exactness, type RangeOrigin, readErrorReasons, readers } from '../observation.ts'
import type {
  AllocationFailures,
  ConntrackState,
  DropSignature,
  Namespace,
  NamespaceState,
  NatPoolName,
  NatRangeOrigin,
  NatState,
  NetnsKind,
  OwnerKind,
  Pool,
  PoolName,
  Settings,
  Snapshot,
} from '../snapshot.ts'
import { causeNames, holders } from '../snapshot-pools.ts'

/** Whether a value is of the type T. */
interface Check<T> {
  (value: unknown): boolean
  /** Never there: what lets the type check compare. */
  readonly checked?: Whole<T>
}
/** With every field, also those that may be left out. */
type Whole<T> = T extends object ? { readonly [K in keyof Required<T>]: Whole<T[K]> } : T
type Shape<T> = { readonly [K in keyof Required<T>]: Check<T[K]> }

/** JSON has any number, and 1e999 is read as Infinity. Nothing here is counted beyond what a number tells exactly. */
const number: Check<number> = (value) =>
  isWithin(value, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
/** Unix time that a Date can hold. */
const time: Check<number> = (value) => isWithin(value, 0, 8.64e12)
/** What a timer waits for; a longer one would end at once. */
const wait: Check<number> = (value) => isWithin(value, 0.001, 2 ** 31 / 1000 - 1)
const text: Check<string> = (value) => typeof value === 'string'
const flag: Check<boolean> = (value) => typeof value === 'boolean'

function isWithin(value: unknown, least: number, most: number): boolean {
  return typeof value === 'number' && value >= least && value <= most
}

function optional<T>(check: Check<T>): Check<T | undefined> {
  return (value) => value === undefined || check(value)
}

function list<T>(check: Check<T>): Check<readonly T[]> {
  return (value) => Array.isArray(value) && value.every(check)
}

function oneOf<T extends string>(words: readonly T[]): Check<T> {
  return (value) => words.some((word) => word === value)
}

function record<T>(check: Check<T>): Check<Readonly<Record<string, T>>> {
  return (value) => isJsonObject(value) && Object.values(value).every(check)
}

/** One such value by each of these names. */
function each<K extends string, T>(
  names: readonly K[],
  check: Check<T>,
): Check<Readonly<Record<K, T>>> {
  return (value) => isJsonObject(value) && names.every((name) => check(value[name]))
}

function object<T>(shape: Shape<T>): Check<T> {
  const checks = Object.entries<Check<unknown>>(shape)
  return (value) => isJsonObject(value) && checks.every(([key, check]) => check(value[key]))
}

/** One of the keys, each of which must be there. */
function oneKeyOf<T extends string>(words: Readonly<Record<T, true>>): Check<T> {
  return oneOf(Object.keys(words) as T[])
}

const pool = oneKeyOf<PoolName>({
  tcp_connect: true,
  tcp_bind: true,
  udp: true,
  nat_tcp: true,
  nat_udp: true,
})
const natPool = oneKeyOf<NatPoolName>({ nat_tcp: true, nat_udp: true })
const protocol = oneOf(['tcp', 'udp'])
const netnsKind = oneKeyOf<NetnsKind>({
  host: true,
  self: true,
  pod: true,
  container: true,
  named: true,
  inode: true,
})
const ownerKind = oneKeyOf<OwnerKind>({
  unit: true,
  container: true,
  pod: true,
  cgroup: true,
  user: true,
  kernel: true,
  netns: true,
  none: true,
  unknown: true,
  other: true,
})
const exactness = oneKeyOf<Exactness>({ exact: true, inferred: true, upper_bound: true })
const rangeOrigin = oneKeyOf<RangeOrigin>({ sysctl: true, pod_spec: true, default: true })
const origin = oneKeyOf<NatRangeOrigin>({
  option: true,
  rule: true,
  smallest_rule: true,
  default: true,
})
const truncated = record(number)
const destination = { source: text, destination: text }
const owner = { owner: text, ownerKind }
const share = object({ ...owner, ports: number })

const pools = list(
  object<Pool>({
    pool,
    capacityPorts: number,
    availablePorts: number,
    unusedPorts: optional(number),
    uncertainPorts: optional(number),
    utilizationRatio: number,
    utilizationPeakRatio: number,
    reclaimablePorts: optional(number),
    slow: optional(flag),
    riskRatio: optional(number),
    etaSeconds: optional(number),
    worstDestination: optional(object(destination)),
    heldPorts: each(holders, number),
    cause: optional(object({ cause: oneOf(causeNames), ports: number, owners: list(share) })),
  }),
)

const settings = object<Settings>({
  firstPort: number,
  lastPort: number,
  reservedPorts: number,
  reservedRanges: list(object({ first: number, last: number })),
  reservedRangesLeftOut: number,
  usablePorts: number,
  tcpTwReuse: optional(number),
  tcpTimestamps: optional(number),
  tcpTwReuseDelaySeconds: optional(number),
  tcpMaxTwBuckets: optional(number),
  autobindReuse: optional(number),
  portStepWidth: optional(number),
})

const state = object<NamespaceState>({
  readAtSeconds: time,
  reader: oneOf(readers),
  exactness,
  readerIsExact: flag,
  entered: flag,
  rangeOrigin,
  settings,
  protocols: list(
    object({
      protocol,
      usedPorts: number,
      sockets: record(number),
      inboundSockets: number,
      listeners: optional(number),
    }),
  ),
  blockedPorts: object({ listener: number, bound: optional(number) }),
  pools,
  destinations: optional(
    object({
      count: number,
      rows: list(
        object({
          ...destination,
          usedPorts: number,
          timeWaitPorts: number,
          utilizationRatio: number,
        }),
      ),
      other: optional(object({ usedPorts: number, timeWaitPorts: number })),
    }),
  ),
  listeners: list(object({ protocol, port: number, owner: text })),
  owners: optional(list(object({ ...owner, protocol, usedPorts: number }))),
  timeWaitRelease: list(object({ withinSeconds: number, ports: number })),
  connectionsOpened: optional(number),
  timeWaitRecycled: optional(number),
  truncated,
})

const nat = object<NatState>({
  readAtSeconds: time,
  evicts: flag,
  pools,
  failureProbabilities: list(object({ pool: natPool, ratio: number })),
  destinations: list(object({ ...destination, protocol, usedPorts: number })),
  clients: list(object({ ...owner, protocol, client: text, usedPorts: number })),
  ranges: list(object({ protocol, source: text, firstPort: number, lastPort: number, origin })),
  truncated,
})

const conntrack = object<ConntrackState>({
  entries: number,
  limitEntries: optional(number),
  collisions: number,
  insertFailed: number,
  dropped: number,
  clashesResolved: optional(number),
  dropSignature: optional(
    oneKeyOf<DropSignature>({ range_full: true, races_or_small_range: true, unclear: true }),
  ),
  translatesIpv6: optional(flag),
})

const allocationFailures = object<AllocationFailures>({
  pools: list(object({ pool, total: number })),
  destinations: list(object({ destination: text, owner: text, total: number })),
})

const namespace = object<Namespace>({
  netns: text,
  netnsKind,
  inode: optional(number),
  containerId: optional(text),
  podUid: optional(text),
  pod: optional(object({ namespace: text, name: text })),
  oldest: optional(object({ pid: number, program: text })),
  entrance: object({ name: optional(text), madeSeconds: optional(time), pid: optional(number) }),
  programs: list(object({ ...owner, pid: number, program: text })),
  detailed: flag,
  state: optional(state),
  failure: optional(object({ reason: oneOf(readErrorReasons), message: text })),
  conntrack: optional(conntrack),
  nat: optional(nat),
  allocationFailures: optional(allocationFailures),
  probes: list(object({ pool, success: flag, durationSeconds: number })),
})

const snapshot = object<Snapshot>({
  takenAtSeconds: time,
  intervalSeconds: wait,
  durations: object({ discover: number, read: number, model: number, other: number }),
  samples: number,
  workerRestarts: number,
  forecastHorizonSeconds: number,
  namespaces: list(namespace),
  leftOut: optional(object({ namespaces: number, postponed: number })),
  unattributedFailures: optional(allocationFailures),
  failures: each(readErrorReasons, number),
  collectors: list(
    object({ collector: text, success: flag, durationSeconds: number, problem: optional(text) }),
  ),
  absences: list(object({ collector: text, reason: text })),
})

/** Whether it has every field of the contract, each of its type; what it has beyond them is of no account. */
export function isSnapshot(value: unknown): value is Snapshot {
  return snapshot(value)
}
