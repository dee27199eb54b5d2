// How the kernel searches a free port for a translated source: the ports of a range -> how likely the next search
// fails, and how many more ports may be taken before half of the searches do. Mirrors net/netfilter/nf_nat_core.c:
// nf_nat_l4proto_unique_tuple(), see docs/development/nat-model.md#the-search.

import { NAT_SEARCH } from '../../snapshot-nat.ts'

/** How a port of the range is used. */
export const PORT = {
  free: 0,
  /** Taken for good. */
  hard: 1,
  /**
   * Taken by an entry that the last tries of a window evict if the sequence number of the new SYN is ahead: a coin
   * toss.
   */
  soft: 2,
} as const

export interface Search {
  /** Probability that the next search ends without a port, 0 to 1. */
  readonly failureProbability: number
  /** Ports that may still be taken, at random, until half of the searches fail. */
  readonly headroomPorts: number
}

const { largestWindow: LARGEST_WINDOW, evictingTries: EVICTING_TRIES } = NAT_SEARCH
/** The largest window, and the halves of it that follow. */
const WINDOWS = [128, 64, 32, 16, 8]
/** The search begins at a random number of 16 bits, modulo the size of the range. */
const STARTS = 65536
const HALF = 0.5
const BISECTIONS = 30

/** Searches a range, whose ports stand in `ports` as values of PORT. A range without ports has none to give. */
export function judgeSearch(ports: Uint8Array): Search {
  const hard = ports.reduce((count, port) => count + (port === PORT.hard ? 1 : 0), 0)
  const open = ports.length - hard
  const rounds = ports.length > LARGEST_WINDOW ? WINDOWS : [ports.length]
  const windows = rounds.map((size) => judgeWindow(ports, size))
  const failureProbability =
    open === 0 ? 1 : windows.reduce((product, { failed }) => product * failed, 1)
  return {
    failureProbability,
    headroomPorts: ports.length > LARGEST_WINDOW ? countHeadroom(windows, open) : open,
  }
}

/** The headroom of a range in which hardly any port is taken. */
export function emptyHeadroom(ports: number): number {
  const tries = WINDOWS.reduce((sum, size) => sum + size, 0)
  return ports > LARGEST_WINDOW ? Math.floor(ports * HALF ** (1 / tries)) : ports
}

interface Window {
  /** Probability that no port of the window can be had. */
  readonly failed: number
  /** Entry k: probability that the window has k ports that are not hard. */
  readonly open: Float64Array
}

function judgeWindow(ports: Uint8Array, size: number): Window {
  const total = ports.length
  const evicting = Math.min(size, EVICTING_TRIES)
  const open = new Float64Array(size + 1)
  let failed = 0
  // A start that the modulo gives more often than the others has one number of 16 bits more.
  const oftener = STARTS % total
  const seldom = Math.floor(STARTS / total) / STARTS
  const often = seldom + 1 / STARTS
  const at = (index: number) => ports[index < total ? index : index - total]
  let free = 0
  let notHard = 0
  let soft = 0
  const add = (port: number | undefined, one: 1 | -1) => {
    if (port === PORT.free) free += one
    if (port !== PORT.hard) notHard += one
  }
  for (let index = 0; index < size; index++) add(ports[index], 1)
  for (let index = size - evicting; index < size; index++) if (at(index) === PORT.soft) soft++
  for (let start = 0; start < total; start++) {
    const weight = start < oftener ? often : seldom
    open[notHard] = (open[notHard] ?? 0) + weight
    if (free === 0) failed += weight * HALF ** soft
    add(ports[start], -1)
    add(at(start + size), 1)
    if (at(start + size - evicting) === PORT.soft) soft--
    if (at(start + size) === PORT.soft) soft++
  }
  return { failed, open }
}

/** A window with k of the open ports, a share q of which is taken at random, has none left with probability q^k. */
function countHeadroom(windows: readonly Window[], openPorts: number): number {
  const failureAt = (share: number) =>
    windows.reduce(
      (product, { open }) =>
        product * open.reduceRight((sum, probability) => sum * share + probability, 0),
      1,
    )
  if (failureAt(0) >= HALF) return 0
  let [low, high] = [0, 1]
  for (let step = 0; step < BISECTIONS; step++) {
    const middle = (low + high) / 2
    if (failureAt(middle) < HALF) low = middle
    else high = middle
  }
  return Math.floor(low * openPorts)
}
