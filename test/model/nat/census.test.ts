import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { renderAddress, renderEndpoint, renderIpv4 } from '../../../src/model/addresses.ts'
import { HOLD, KEY_WORDS } from '../../../src/model/flows.ts'
import { createNatCensusTaker, type NatCensus } from '../../../src/model/nat/census.ts'
import type { NatReading } from '../../../src/observation.ts'
import { addressOf, batchesOf, type Entry, readingOf } from './conntrack.ts'

const NAT = '203.0.113.7'
const SERVER = '198.51.100.9:443'
const through = (client: string, port: number, more: Partial<Entry> = {}): Entry => ({
  client,
  answers: SERVER,
  nat: `${NAT}:${port}`,
  ...more,
})

/** `NAT address destination port hold`, sorted. */
function listTaken(census: NatCensus, protocol: 'tcp' | 'udp' = 'tcp'): string[] {
  const flows = census.flows[protocol]
  const { destination, port, hold } = flows.columns()
  const keys = flows.keys()
  return Array.from({ length: flows.flowCount() }, (_, flow) => {
    const at = (destination[flow] ?? 0) * KEY_WORDS
    const name = Object.entries(HOLD).find(([, code]) => code === hold[flow])?.[0]
    const zone = keys[at + 9] === 0 ? '' : `%${keys[at + 9]}`
    return `${renderAddress(keys, at)}${zone} ${renderEndpoint(keys, at + 4, keys[at + 8] ?? 0)} ${port[flow]} ${name}`
  }).sort()
}

const take = createNatCensusTaker()

describe('the census of a NAT', () => {
  test('takes the port by the tuple that answers come in with', () => {
    const census = take(
      readingOf([
        through('10.0.0.5:4000', 40_000),
        through('10.0.0.6:4000', 40_001, { asked: '10.96.0.1:80' }),
        { ...through('10.0.0.5:4001', 40_000), protocol: 'udp' },
      ]),
    )
    expect(listTaken(census)).toEqual([
      `${NAT} ${SERVER} 40000 live`,
      `${NAT} ${SERVER} 40001 live`,
    ])
    expect(listTaken(census, 'udp')).toEqual([`${NAT} ${SERVER} 40000 live`])
  })

  test("counts the NAT node's own connections from its NAT address, and no others", () => {
    const own = (host: string) => ({ client: host, answers: SERVER, nat: host })
    expect(
      listTaken(
        take(
          readingOf([
            own(`${NAT}:40007`),
            own('192.0.2.1:40008'),
            through('10.0.0.5:4000', 40_000),
          ]),
        ),
      ),
    ).toEqual([`${NAT} ${SERVER} 40000 live`, `${NAT} ${SERVER} 40007 live`])
  })

  test('asks for the connections of its addresses in either direction, where the kernel filters', () => {
    const own = { client: `${NAT}:40007`, answers: '198.51.100.20:443', nat: `${NAT}:40007` }
    const incoming = { client: SERVER, answers: `${NAT}:40500`, nat: SERVER }
    const asked: string[] = []
    const census = take({
      ...readingOf([through('10.0.0.5:4000', 40_000)]),
      others: (direction, addresses) => {
        asked.push(`${direction} ${addresses.map(renderIpv4).join()}`)
        return batchesOf([direction === 'reply' ? own : incoming])
      },
    })
    expect(asked).toEqual([`reply ${NAT}`, `original ${NAT}`])
    expect(listTaken(census)).toEqual([
      `${NAT} 198.51.100.20:443 40007 live`,
      `${NAT} ${SERVER} 40000 live`,
      `${NAT} ${SERVER} 40500 live`,
    ])
  })

  test('knows 4,096 addresses, those of its own connections included, and refuses more', () => {
    const addresses = (count: number, from = 0) =>
      Array.from({ length: count }, (_, at) => renderIpv4(addressOf('198.18.0.0') + from + at))
    const theirs = (hosts: readonly string[]) =>
      hosts.map((host) => ({ client: '10.0.0.5:4000', answers: SERVER, nat: `${host}:40000` }))
    const own = (hosts: readonly string[]) =>
      hosts.map((host) => ({ client: `${host}:1`, answers: SERVER, nat: `${host}:40000` }))
    const ownTranslated = (hosts: readonly string[]) =>
      own(hosts).map((entry) => ({ ...entry, sourceNat: true }))
    const count = (entries: readonly Entry[], rules: NatReading['rules'] = []) =>
      take(readingOf(entries, { rules })).addresses.length
    const refusal = expect.objectContaining({
      reason: 'unsupported',
      message: 'Cannot tell the NAT pools apart: there are more than 4096 NAT addresses',
    })
    expect(count(theirs(addresses(4096)))).toBe(4096)
    expect(() => count(theirs(addresses(4097)))).toThrow(refusal)
    expect(() => count(ownTranslated(addresses(4097)))).toThrow(refusal)
    const half = [...theirs(addresses(2048)), ...ownTranslated(addresses(2049, 2048))]
    const masquerade = [{ protocol: undefined, addresses: undefined, ports: undefined }]
    expect(count(half)).toBe(2048)
    expect(count(half.slice(1), masquerade)).toBe(4096)
    expect(() => count(half, masquerade)).toThrow(refusal)
  })

  test('gives a port that was listed of two clients to the lower address, whatever the order', () => {
    const entries = ['10.0.0.4', '10.0.0.5'].map((host) => through(`${host}:4000`, 40_000))
    for (const order of [entries, entries.toReversed()]) {
      const { flows, clients } = take(readingOf(order))
      expect(renderIpv4(clients.value(flows.tcp.columns().owner[0] ?? -1))).toBe('10.0.0.4')
    }
  })

  test('finds a NAT that translates its own connections alone, where a rule does it', () => {
    const own: Entry = { ...through(`${NAT}:50000`, 40_000), sourceNat: true }
    const kept = { client: `${NAT}:40001`, answers: SERVER, nat: `${NAT}:40001` }
    const rule = { protocol: undefined, ports: { first: 40_000, last: 40_099 } }
    const named = (host: string) => {
      const at = addressOf(host)
      return [{ ...rule, addresses: { first: at, last: at } }]
    }
    const addressesBy = (rules: NatReading['rules']) => {
      const census = take(readingOf([own, kept], { rules }))
      return { addresses: census.addresses, taken: listTaken(census) }
    }
    const expected = {
      addresses: [addressOf(NAT)],
      taken: [`${NAT} ${SERVER} 40000 live`, `${NAT} ${SERVER} 40001 live`],
    }
    expect(addressesBy([{ ...rule, addresses: undefined }])).toEqual(expected)
    expect(addressesBy(named(NAT))).toEqual(expected)
    // Without one the kernel gave it another port, because a connection that it let in had that one.
    for (const rules of [undefined, [], named('203.0.113.8')]) {
      expect(addressesBy(rules).addresses).toEqual([])
    }
  })

  test('finds the address of clients after a connection of its own that no rule translates', () => {
    const own: Entry = { ...through(`${NAT}:50000`, 40_000), sourceNat: true }
    const census = take(readingOf([own, through('10.0.0.5:4000', 40_001)]))
    expect(census.addresses).toEqual([addressOf(NAT)])
  })

  test('counts what comes in from a destination that is translated to, and makes no pool of the rest', () => {
    const incoming = (peer: string, port: number): Entry => ({
      client: peer,
      answers: `${NAT}:${port}`,
      nat: peer,
    })
    expect(
      listTaken(
        take(
          readingOf([
            incoming(SERVER, 40_500),
            incoming('192.0.2.77:5555', 40_501),
            through('10.0.0.5:4000', 40_000),
          ]),
        ),
      ),
    ).toEqual([`${NAT} ${SERVER} 40000 live`, `${NAT} ${SERVER} 40500 live`])
  })

  test('a port of a closing entry is free to take where the kernel evicts, and taken where not', () => {
    const entries = [through('10.0.0.5:4000', 40_000, { evictable: true })]
    expect(listTaken(take(readingOf(entries)))).toEqual([`${NAT} ${SERVER} 40000 reclaimable`])
    expect(listTaken(take(readingOf(entries, { evicts: false })))).toEqual([
      `${NAT} ${SERVER} 40000 timeWait`,
    ])
  })

  test('keeps zones apart, and asks for others only where something is translated', () => {
    const entries = [
      through('10.0.0.5:4000', 40_000, { zone: 3 }),
      through('10.0.0.5:4001', 40_000),
    ]
    expect(listTaken(take(readingOf(entries)))).toEqual([
      `${NAT} ${SERVER} 40000 live`,
      `${NAT}%3 ${SERVER} 40000 live`,
    ])
    const census = take({
      ...readingOf([]),
      translated: batchesOf([
        { client: `${NAT}:40000`, answers: SERVER, nat: `${NAT}:40123`, sourceNat: true },
      ]),
      others: () => {
        throw new Error('asked')
      },
    })
    expect(census.addresses).toEqual([])
  })

  test('is the same whatever the order of entries, and however often a dump lists one', () => {
    const entries = Array.from({ length: 12 }, (_, at) =>
      through(`10.0.0.${1 + (at % 3)}:${4000 + at}`, 40_000 + at, { evictable: at % 4 === 0 }),
    )
    const expected = listTaken(take(readingOf(entries)))
    expect(expected).toHaveLength(12)
    fc.assert(
      fc.property(
        fc.shuffledSubarray(entries, { minLength: 12 }),
        fc.subarray(entries),
        (shuffled, again) => {
          expect(listTaken(take(readingOf([...shuffled, ...again])))).toEqual(expected)
        },
      ),
    )
  })
})
