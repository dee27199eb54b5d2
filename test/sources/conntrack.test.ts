import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeConntrackDump } from '../../src/kernel/conntrack-request.ts'
import { type Libc, SystemError } from '../../src/kernel/libc.ts'
import { renderAddress } from '../../src/model/addresses.ts'
import { KEY_REMOTE_PORT, KEY_WORDS } from '../../src/model/flows.ts'
import { createNatCensusTaker, type NatCensus } from '../../src/model/nat/census.ts'
import type { Protocol } from '../../src/observation.ts'
import { createConntrackSource, evictsClosing } from '../../src/sources/conntrack.ts'
import { startNatMemory } from '../../src/worker/nat-memory.ts'
import {
  buildEntry,
  plainEntry,
  STATUS,
  type WireEntry,
} from '../support/kernel/conntrack-builder.ts'
import { buildDatagrams, buildDone, buildError } from '../support/kernel/netlink-builder.ts'

const CT_GET = 0x101
const ENOENT = 2
const EAGAIN = 11
/** Far more than there are: only where nearly all of them are translated is one walk cheaper. */
const CROWDED = 1_000_000

/** A few addresses, so that one is a NAT address here and a destination there. */
const address = fc.constantFrom([10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 0, 3], [10, 0, 0, 4])
const tuple = fc.record({
  source: address,
  destination: address,
  sourcePort: fc.integer({ min: 1, max: 3 }),
  destinationPort: fc.integer({ min: 40_000, max: 40_003 }),
})
const entry: fc.Arbitrary<WireEntry> = fc.record({
  protocol: fc.constantFrom(6, 17),
  original: tuple,
  reply: tuple,
  status: fc.constantFrom(STATUS.assured, STATUS.assured | STATUS.sourceNat),
  tcpState: fc.constantFrom(3, 7),
})

/** net/netfilter/nf_conntrack_netlink.c:ctnetlink_filter_match(), for the filters that the product uses. */
function fits({ status, original, reply }: WireEntry, request: Buffer): boolean {
  const translated = (status & STATUS.sourceNat) !== 0
  const asks = (filter: Parameters<typeof encodeConntrackDump>[0]) =>
    Buffer.from(encodeConntrackDump(filter, request.readUInt32LE(8))).equals(request)
  const wordOf = (bytes: readonly number[]) => Buffer.from(bytes).readUInt32BE(0)
  const to = (direction: 'original' | 'reply') => ({
    direction,
    address: wordOf((direction === 'original' ? original : reply).destination),
  })
  return (
    asks({}) ||
    asks({ sourceNat: translated }) ||
    asks({ sourceNat: translated, destination: to('reply') }) ||
    asks({ destination: to('original') })
  )
}

function createFakeLibc(entries: readonly WireEntry[], filters: boolean) {
  let answers: Uint8Array[] = []
  let dumps = 0
  const refuse = () => {
    throw new Error('The source must not ask for that')
  }
  const libc: Libc = {
    socket: () => 3,
    bind: refuse,
    listen: refuse,
    connect: refuse,
    setsockopt: () => {},
    getsockopt: refuse,
    send(_fd, bytes) {
      const request = Buffer.from(bytes)
      const sequence = request.readUInt32LE(8)
      if (request.readUInt16LE(4) !== CT_GET) {
        answers = [Uint8Array.from(buildError(sequence, ENOENT))]
        return
      }
      dumps++
      const sent = entries.filter((one) => !filters || fits(one, request))
      const messages = [...sent.map((one) => buildEntry(one, sequence)), buildDone(sequence)]
      answers = buildDatagrams(messages, 4)
    },
    recv(_fd, buffer) {
      const next = answers.shift()
      if (next === undefined) throw new SystemError('recv', EAGAIN)
      buffer.set(next)
      return next.length
    },
    setns: refuse,
    bpf: refuse,
    ioctl: refuse,
    read: refuse,
    close: () => {},
  }
  return { libc, dumps: () => dumps }
}

/** Which ports of which pool are held and how, in an order of its own. */
function describeCensus({ flows, addresses, clients }: NatCensus): readonly string[] {
  const lines = (['tcp', 'udp'] as const).flatMap((protocol: Protocol) => {
    const keys = flows[protocol].keys()
    const { destination, port, hold, owner } = flows[protocol].columns()
    return Array.from({ length: flows[protocol].flowCount() }, (_, flow) => {
      const at = (destination[flow] ?? 0) * KEY_WORDS
      const to = `${renderAddress(keys, at + 4)}:${keys[at + KEY_REMOTE_PORT]}`
      const from = `${renderAddress(keys, at)}:${port[flow]}`
      return `${protocol} ${from} ${to} ${hold[flow]} ${clients.value(owner[flow] ?? 0)}`
    })
  })
  return [...lines, ...[...addresses].map(String)].sort()
}

function readTwice(entries: readonly WireEntry[], about: number, filters: boolean) {
  const { libc, dumps } = createFakeLibc(entries, filters)
  const source = createConntrackSource(libc, '6.18.0')
  const { source: memory } = startNatMemory()
  const take = createNatCensusTaker()
  return [0, 1].map(() => {
    const before = dumps()
    const seen = source.read(memory, about, (reading) => describeCensus(take(reading)))
    return { seen, dumps: dumps() - before }
  })
}

describe('the source of conntrack entries', () => {
  test('gives the same whatever it asks the kernel for, and whether that has filters or not', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 30 }), fc.boolean(), (entries, filters) => {
        const many = readTwice(entries, CROWDED, true).map(({ seen }) => seen)
        const few = readTwice(entries, entries.length, filters).map(({ seen }) => seen)
        expect(many[1]).toEqual(many[0])
        expect(few).toEqual(many)
        expect(readTwice(entries, CROWDED, false).map(({ seen }) => seen)).toEqual(many)
      }),
    )
  })

  test('walks the table once where most entries are translated, and where the kernel sends all anyway', () => {
    const translated: WireEntry = { ...plainEntry, status: STATUS.sourceNat }
    const plain: WireEntry = { ...translated, status: STATUS.assured }
    const dumpsOf = (...of: Parameters<typeof readTwice>) =>
      readTwice(...of).map(({ dumps }) => dumps)
    expect(dumpsOf([translated], 30_000, true)).toEqual([3, 1])
    expect(dumpsOf([translated], CROWDED, true)).toEqual([3, 3])
    expect(dumpsOf([translated, plain], CROWDED, false)).toEqual([2, 1])
    expect(dumpsOf([plain], 30_000, true)).toEqual([1, 1])
  })

  test('knows from its release whether a kernel evicts', () => {
    const releases = ['6.4.16', '6.5.0-rc1', '5.15.0-1051-aws', '6.18.44', '7.0.1', 'unknown']
    expect(releases.filter(evictsClosing)).toEqual(['6.5.0-rc1', '6.18.44', '7.0.1'])
  })
})
