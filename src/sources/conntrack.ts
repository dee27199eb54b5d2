// Source of what a namespace translates: its conntrack entries and its NAT rules through NETLINK_NETFILTER. Reads the
// namespace of the calling thread. IPv4 only. Cilium and Open vSwitch keep tables of their own, which are not seen
// here.

import { release } from 'node:os'
import {
  createConntrackDumpBatch,
  dumpConntrack,
  openNetfilterChannel,
} from '../kernel/conntrack-channel.ts'
import type { ConntrackFilter } from '../kernel/conntrack-request.ts'
import { hasIptablesNat } from '../kernel/ip-tables.ts'
import type { Libc } from '../kernel/libc.ts'
import { DATAGRAM_BYTES, type NetlinkChannel } from '../kernel/netlink-channel.ts'
import { readNatRules, readRulesGeneration } from '../kernel/nft-channel.ts'
import { refusable } from '../kernel/refused-call.ts'
import {
  type ConntrackBatch,
  DecodeError,
  type NatReading,
  type NatRule,
  SourceError,
} from '../observation.ts'
import { type ConntrackStore, createConntrackStore } from './conntrack-store.ts'

/** What is remembered of one namespace from listing to listing. */
export interface ConntrackMemory {
  /** Generation of the rules below, also where these were too many; undefined where they are to be read again. */
  generation: number | undefined
  rules: readonly NatRule[] | undefined
  /** Whether some rule may translate IPv6 sources, which are not listed; undefined where rules could not be read. */
  translatesIpv6: boolean | undefined
  /** The rules are not read again before, by performance.now(). */
  rulesRestUntilMs: number
  /** Entries with a translated source; undefined before the first listing. */
  translated: number | undefined
  /** What their sources were translated to. */
  addresses: ReadonlySet<number>
}

export interface ConntrackSource {
  /**
   * Calls `use` with a reading, which is valid until it returns. The rules are read again only when their generation
   * has changed. `entries` is how many there are about now. Throws SourceError or DecodeError; what `use` throws
   * passes.
   */
  read<T>(memory: ConntrackMemory, entries: number, use: (reading: NatReading) => T): T
}

/** So many NAT addresses are each asked for by name. With more of them one listing of all entries is cheaper. */
const ADDRESSES_BY_NAME = 2
/**
 * Each dump walks the table of the whole machine. The walks that are saved where the kernel sends all entries at once
 * pay for so many that are of no use, and for this share of all.
 */
const WALK_ENTRIES = 20_000
const WALK_SHARE = 0.4
/** Reading rules that change all the time, or cannot be read, may take a tenth of the time. */
const REST_FACTOR = 10
/**
 * The first kernel whose SNAT evicts closing entries (nf_nat_core.c: nf_nat_may_kill). Backports are not known here.
 */
const EVICTING = { major: 6, minor: 5 }

export function createConntrackSource(
  libc: Libc,
  kernel: string = release(),
  hasUnreadRules: () => boolean = hasIptablesNat,
): ConntrackSource {
  const buffer = new Uint8Array(DATAGRAM_BYTES)
  const batch = createConntrackDumpBatch()
  const evicts = evictsClosing(kernel)
  let sequence = 0

  function* dump(
    channel: NetlinkChannel,
    filters: readonly ConntrackFilter[],
  ): Generator<ConntrackBatch, void, void> {
    for (const filter of filters) {
      sequence = (sequence + 1) % 2 ** 16
      yield* dumpConntrack(channel, filter, sequence, batch)
    }
  }

  return {
    read(memory, entries, use) {
      const channel = open(libc, buffer)
      const whole = isCheaperWhole(memory, entries)
      const listing: Listing = {
        store: createConntrackStore(),
        before: memory.addresses,
        complete: whole,
      }
      const list = (filter: ConntrackFilter) => keepOthers(dump(channel, [filter]), memory, listing)
      try {
        refreshRules(channel, () => open(libc, buffer), memory)
        return use({
          rules: memory.rules,
          unreadRules: hasUnreadRules(),
          evicts,
          translated: list(whole ? {} : { sourceNat: true }),
          *others(direction, addresses) {
            if (!listing.complete && addresses.length > ADDRESSES_BY_NAME) {
              listing.complete = true
              listing.before = new Set(addresses)
              for (const _batch of list({}));
            }
            if (listing.complete) yield listing.store.batch
            yield* dump(channel, planOthers(direction, addresses, listing))
          },
        })
      } finally {
        channel.close()
      }
    },
  }
}

/** Whether a kernel of that release evicts closing entries. */
export function evictsClosing(kernel: string): boolean {
  const [, major = 0, minor = 0] = (/^(\d+)\.(\d+)/.exec(kernel) ?? []).map(Number)
  return major > EVICTING.major || (major === EVICTING.major && minor >= EVICTING.minor)
}

function isCheaperWhole({ translated }: ConntrackMemory, entries: number): boolean {
  if (translated === undefined || translated === 0) return false
  return entries - translated <= WALK_ENTRIES + WALK_SHARE * entries
}

interface Listing {
  /** Rows that matter though their source is not, or not only, translated. */
  readonly store: ConntrackStore
  /** NAT addresses that were known when the listing began. */
  before: ReadonlySet<number>
  /** Whether the kernel sends all, asked or not: one without filters does. */
  complete: boolean
}

/** Passes the batches on, and keeps of them what will be asked for next. */
function* keepOthers(
  batches: Iterable<ConntrackBatch>,
  memory: ConntrackMemory,
  listing: Listing,
): Generator<ConntrackBatch, void, void> {
  const { store, before } = listing
  const addresses = new Set<number>()
  let translated = 0
  let lastAddress = -1
  for (const batch of batches) {
    const { original, reply } = batch
    for (let row = 0; row < batch.length; row++) {
      const asked = original.destination[row] ?? 0
      if (batch.sourceNat[row] === 0) {
        listing.complete = true
        store.add(batch, row)
      } else {
        translated++
        const address = reply.destination[row] ?? 0
        if (address !== lastAddress) addresses.add(address)
        lastAddress = address
        if (asked !== reply.source[row] || before.has(asked)) store.add(batch, row)
      }
    }
    yield batch
  }
  memory.translated = translated
  memory.addresses = addresses
}

/** What is still to be asked for: of a complete listing only what nobody could know to keep. */
function planOthers(
  direction: 'reply' | 'original',
  addresses: readonly number[],
  { before, complete }: Listing,
): readonly ConntrackFilter[] {
  if (complete && direction === 'reply') return []
  const left = addresses.filter((address) => !complete || !before.has(address))
  if (left.length > ADDRESSES_BY_NAME) return [{}]
  return left.map((address) => ({
    ...(direction === 'reply' && { sourceNat: false }),
    destination: { direction, address },
  }))
}

function open(libc: Libc, buffer: Uint8Array): NetlinkChannel {
  return refusable('Cannot list conntrack', () => openNetfilterChannel(libc, buffer))
}

/**
 * Rules that cannot be read are not known: the ranges are then those without a rule, and labelled so. Too many rules
 * stay too many until they change.
 */
function refreshRules(
  channel: NetlinkChannel,
  openAnother: () => NetlinkChannel,
  memory: ConntrackMemory,
): void {
  const begunMs = performance.now()
  let generation: number | undefined
  try {
    generation = readRulesGeneration(channel)
    if (generation === memory.generation || begunMs < memory.rulesRestUntilMs) return
    const { rules, ipv6 } = readNatRules(openAnother)
    memory.rules = rules
    memory.translatesIpv6 = ipv6
    memory.generation = generation
  } catch (error) {
    if (!(error instanceof SourceError || error instanceof DecodeError)) throw error
    const isLasting = error instanceof SourceError && error.reason === 'unsupported'
    memory.rules = undefined
    memory.translatesIpv6 = undefined
    memory.generation = isLasting ? generation : undefined
  }
  const nowMs = performance.now()
  memory.rulesRestUntilMs = nowMs + REST_FACTOR * (nowMs - begunMs)
}
