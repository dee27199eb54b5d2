// Listeners, and which connections they accept.

import { FLAG, type SocketBatch } from '../observation.ts'
import { isIpv4, V4_MAPPED } from './addresses.ts'
import { PORTS } from './columns.ts'
import { createKeyTable } from './key-table.ts'

export interface Listener {
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
  readonly address: readonly [number, number, number, number]
  /** IPV6_V6ONLY: takes no IPv4 connection. */
  readonly ipv6Only: boolean
  /** Undefined where nothing tells owners. */
  readonly ownerId: number | undefined
  /** Whether the application chose the port. */
  readonly explicit: boolean
  /** 0 where it is unknown. */
  readonly inode: number
}

/** The listener in a row of a batch. */
export function takeListener(
  batch: SocketBatch,
  row: number,
  ownerId: number | undefined,
): Listener {
  const words = batch.localAddress.subarray(row * 4, row * 4 + 4)
  return {
    protocol: batch.protocol,
    port: batch.localPort[row] ?? 0,
    address: [words[0] ?? 0, words[1] ?? 0, words[2] ?? 0, words[3] ?? 0],
    ipv6Only: ((batch.flags[row] ?? 0) & FLAG.ipv6Only) !== 0,
    ownerId,
    explicit: batch.explicit,
    inode: batch.inode[row] ?? 0,
  }
}

/** Which connections the listeners of a port accept: all, those of one family, or those to an address of `exact`. */
const ACCEPTS = { all: 1, ipv6: 2, ipv4: 4, exact: 8 } as const
/** Words of an address and its port. */
const LISTENER_WORDS = 5

/** Whether a flow is the accepting side, by its key, from the word `at` on, and its local port. */
export type InboundTest = (keys: Uint32Array, at: number, port: number) => boolean

/**
 * Tells whether a flow is the accepting side: a listener holds, or held, its local port and takes its local address.
 */
export function createInboundTest(listeners: readonly Listener[]): InboundTest {
  if (listeners.length === 0) return () => false
  const accepting = new Uint8Array(PORTS)
  const exact = listeners.filter(({ port, address, ipv6Only }) => {
    const kind = acceptedBy(address, ipv6Only)
    accepting[port] = (accepting[port] ?? 0) | kind
    return kind === ACCEPTS.exact
  })
  const acceptsExactly = exact.length > 0 ? createExactTest(exact) : undefined
  return (keys, at, port) => {
    const kinds = accepting[port] ?? 0
    if (kinds === 0) return false
    if ((kinds & (ACCEPTS.all | (isIpv4(keys, at) ? ACCEPTS.ipv4 : ACCEPTS.ipv6))) !== 0)
      return true
    return (kinds & ACCEPTS.exact) !== 0 && acceptsExactly?.(keys, at, port) === true
  }
}

/** Creates the test of listeners that have an address each, of which many hosts have none. */
function createExactTest(listeners: readonly Listener[]): InboundTest {
  const table = createKeyTable(LISTENER_WORDS, sameListener)
  const key = new Uint32Array(LISTENER_WORDS)
  /** 1 + the index of the first listener on an address of the port: mostly there is no other. */
  const firstOf = new Uint16Array(PORTS)
  for (const { port, address } of listeners) {
    key.set(address)
    key[4] = port
    const index = table.index(key)
    if (index + 1 < PORTS && firstOf[port] === 0) firstOf[port] = index + 1
  }
  return (keys, at, port) => {
    const first = (firstOf[port] ?? 0) - 1
    if (first >= 0 && sameAddress(table.keys(), first * LISTENER_WORDS, keys, at)) return true
    for (let word = 0; word < 4; word++) key[word] = keys[at + word] ?? 0
    key[4] = port
    return table.find(key) >= 0
  }
}

function acceptedBy(address: Listener['address'], ipv6Only: boolean): number {
  const [word0, word1, word2, word3] = address
  if (word0 !== 0 || word1 !== 0 || word3 !== 0) return ACCEPTS.exact
  if (word2 === 0) return ipv6Only ? ACCEPTS.ipv6 : ACCEPTS.all
  return word2 === V4_MAPPED ? ACCEPTS.ipv4 : ACCEPTS.exact
}

function sameListener(left: Uint32Array, at: number, right: Uint32Array, from: number): boolean {
  return sameAddress(left, at, right, from) && left[at + 4] === right[from + 4]
}

/** What differs most often comes first. */
function sameAddress(left: Uint32Array, at: number, right: Uint32Array, from: number): boolean {
  return (
    left[at + 3] === right[from + 3] &&
    left[at + 2] === right[from + 2] &&
    left[at + 1] === right[from + 1] &&
    left[at] === right[from]
  )
}
