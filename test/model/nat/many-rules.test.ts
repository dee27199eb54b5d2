// Rules that give one NAT address many ranges, and rules that were not read.

import { describe, expect, test } from 'vitest'
import type { NatRule } from '../../../src/observation.ts'
import { addressOf, type Entry, readingOf } from './conntrack.ts'
import { connect, HUNDRED, NAT, play, poolOf, SERVER } from './play.ts'

describe('many rules for one address', () => {
  const at = { first: addressOf(NAT), last: addressOf(NAT) }
  const block = (client: number) => ({ first: 1024 + 64 * client, last: 1087 + 64 * client })
  const blocks = (count: number) =>
    Array.from({ length: count }, (_, client): NatRule => {
      return { protocol: undefined, addresses: at, ports: block(client) }
    })
  const plain: NatRule = { protocol: undefined, addresses: undefined, ports: undefined }
  const seen = (entries: readonly Entry[], rules: readonly NatRule[]) => {
    const nat = play([readingOf(entries, { rules })])
    return { ...poolOf(nat), failure: nat?.failureProbabilities[0]?.ratio }
  }

  test.each([0, 63, 64, 80, 89, 500, 1007])('the block of client %i is full', (client) => {
    const full = connect(64, { from: block(client).first })
    for (const rules of [blocks(1008), [...blocks(1008), plain]]) {
      expect(seen(full, rules)).toMatchObject({
        capacityPorts: 64,
        availablePorts: 0,
        failure: 1,
        worstDestination: { source: NAT, destination: SERVER },
      })
    }
  })

  test('connections of a rule without ports are counted beside them', () => {
    for (const count of [20, 63, 64, 90, 900]) {
      const nat = play([
        readingOf(connect(1000, { from: 60_000 }), { rules: [...blocks(count), plain] }),
      ])
      expect(poolOf(nat)).toMatchObject({ capacityPorts: 64_512, availablePorts: 63_512 })
      expect(nat?.destinations).toMatchObject([{ source: NAT, usedPorts: 1000 }])
    }
  })

  test('ports outside of the range of a destination have their clients and their part of its row', () => {
    const mine = connect(64, { from: block(0).first, client: '10.0.0.20:5000' })
    const theirs = connect(1000, { from: 60_000, client: '10.0.0.200:5000' })
    const rules = [...blocks(20), plain]
    const nat = play([readingOf([...mine, ...theirs], { rules })])
    expect(poolOf(nat)).toMatchObject({
      capacityPorts: 64,
      availablePorts: 0,
      heldPorts: { established: 64 },
      cause: { ports: 64, owners: [{ ports: 64 }] },
    })
    expect(nat?.destinations).toEqual([
      { protocol: 'tcp', source: NAT, destination: SERVER, usedPorts: 1064 },
    ])
    expect(nat?.clients).toMatchObject([
      { client: '10.0.0.200', usedPorts: 1000 },
      { client: '10.0.0.20', usedPorts: 64 },
    ])
    expect(nat?.truncated).toMatchObject({
      ephemeral_port_nat_destination_used_ports: 0,
      ephemeral_port_nat_client_used_ports: 0,
    })
  })

  test('ports that no rule gives are no ports of the NAT, whatever range the destination has', () => {
    const rules = [...blocks(2), { ...plain, ports: { first: 50_000, last: 50_999 } }]
    const own = [1023, 1152, 49_999, 51_000].flatMap((from) => connect(1, { from }))
    const given = [1024, 1087, 1088, 1151, 50_000, 50_999].flatMap((from) => connect(1, { from }))
    const nat = play([readingOf([...own, ...given, ...connect(50, { from: 50_300 })], { rules })])
    expect(nat?.destinations).toMatchObject([{ destination: SERVER, usedPorts: 56 }])
    expect(nat?.clients).toMatchObject([{ client: '10.0.0.1', usedPorts: 56 }])
    expect(poolOf(nat)).toMatchObject({ capacityPorts: 1000, availablePorts: 948 })
  })

  test('ports of rules that were not read are counted beside a range that was', () => {
    const entries = [...connect(50), ...connect(300, { from: 50_000, clients: 2 })]
    const beside = (unreadRules: boolean) =>
      play([readingOf(entries, { rules: HUNDRED, unreadRules })])
    expect(beside(true)?.ranges[0]).toMatchObject({
      origin: 'smallest_rule',
      firstPort: 40_000,
      lastPort: 40_099,
    })
    expect(beside(true)?.destinations).toMatchObject([{ usedPorts: 350 }])
    expect(beside(false)?.ranges[0]?.origin).toBe('rule')
    expect(beside(false)?.destinations).toMatchObject([{ usedPorts: 50 }])
  })

  test('of 4,096 rules with ranges that all overlap the full one counts', () => {
    const rules = Array.from({ length: 4096 }, (_, nth): NatRule => {
      return { ...plain, ports: { first: 20_000 - nth, last: 20_099 } }
    })
    expect(seen(connect(100, { from: 20_000 }), rules)).toMatchObject({
      capacityPorts: 100,
      availablePorts: 0,
      failure: 1,
    })
    // Beside 900 ports of wider ranges.
    const both = [...connect(100, { from: 20_000 }), ...connect(900, { from: 17_000 })]
    expect(seen(both, rules)).toMatchObject({ capacityPorts: 100, availablePorts: 0 })
  })

  test('what was made to take long is refused: many destinations, each with a port in all of them', () => {
    const rules = Array.from({ length: 4000 }, (_, nth): NatRule => {
      return { ...plain, ports: { first: 20_000 - nth, last: 20_000 + nth } }
    })
    const to = (count: number) =>
      Array.from({ length: count }, (_, nth) => ({
        client: `10.0.0.1:${1024 + nth}`,
        answers: `198.51.100.9:${1 + nth}`,
        nat: `${NAT}:20000`,
      }))
    expect(seen(to(900), rules)).toMatchObject({ capacityPorts: 1, availablePorts: 0 })
    expect(() => seen(to(1300), rules)).toThrow(
      expect.objectContaining({
        reason: 'unsupported',
        message: expect.stringMatching('too many ranges'),
      }),
    )
  })
})
