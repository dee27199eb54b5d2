import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCensusTaker } from '../../src/model/census.ts'
import { KEY_WORDS } from '../../src/model/flows.ts'
import { STATE } from '../../src/observation.ts'
import type { WireSocket } from '../support/kernel/netlink-builder.ts'
import { plainSettings, replayDumps } from '../support/kernel/readings.ts'
import { account, connection, PORT, tcp, timeWait } from './accounts.ts'

const listener = {
  ...connection,
  state: 10,
  local: [0, 0, 0, 0],
  remotePort: 0,
  remote: [0, 0, 0, 0],
}
const ACCEPTED = 3000

function accepted(client: number): WireSocket {
  return { ...connection, remotePort: 10_000 + client }
}

const many = Array.from({ length: ACCEPTED }, (_, client) => accepted(client))

describe('connections that a listener has accepted', () => {
  test('are no destinations, and are counted once each, however often they are listed', () => {
    const outgoing = { ...connection, localPort: PORT + 1 }
    const { census, columns } = account(tcp(listener, ...many, outgoing, ...many.toReversed()))
    expect(census.flows.destinationCount()).toBe(1)
    expect(columns.inboundFlows).toBe(ACCEPTED)
    expect(census.tcpStates[STATE.established]).toBe(ACCEPTED + 1)
  })

  test('count in the stronger of two states that they were listed in', () => {
    const waiting = { ...timeWait(30_000), remotePort: 10_000 }
    for (const twice of [
      [accepted(0), waiting],
      [waiting, accepted(0)],
    ]) {
      const { census, columns } = account(tcp(listener, ...twice, accepted(1)))
      expect([census.tcpStates[STATE.established], census.tcpStates[STATE.timeWait]]).toEqual([
        2, 0,
      ])
      expect(columns.inboundFlows).toBe(2)
    }
  })

  test('stand with the others where this host connects to their client as well', () => {
    const back = { ...accepted(7), localPort: PORT + 1 }
    for (const sockets of [
      [listener, ...many, back],
      [listener, back, ...many],
    ]) {
      const { census, columns } = account(tcp(...sockets))
      expect(census.accepted.count()).toBe(ACCEPTED - 1)
      expect([census.flows.destinationCount(), census.flows.flowCount()]).toEqual([1, 2])
      expect([columns.inboundFlows, columns.used[0]]).toEqual([ACCEPTED, 1])
    }
  })

  test('are told from those at its port that came to another address', () => {
    const one = { ...listener, local: [127, 0, 0, 1] }
    const { census, columns } = account(tcp(one, ...many.slice(0, 5)))
    expect([census.accepted.count(), columns.inboundFlows, columns.count]).toEqual([0, 0, 5])
  })

  test('are forgotten when the next census is taken, fewer or more', () => {
    const take = createCensusTaker()
    const counts = [ACCEPTED, 3, 0, 40, ACCEPTED].map((count) => {
      const sockets = tcp(listener, ...many.slice(0, count))
      return take(plainSettings, replayDumps(sockets)).accepted.count()
    })
    expect(counts).toEqual([ACCEPTED, 3, 0, 40, ACCEPTED])
  })
})

describe('the accounts', () => {
  const socket = fc.record({
    localPort: fc.integer({ min: PORT, max: PORT + 2 }),
    remotePort: fc.constantFrom(443, 444, 10_000, 10_001, 10_002),
    local: fc.constantFrom([10, 0, 0, 5], [10, 0, 0, 6]),
    state: fc.constantFrom(1, 2, 5, 8),
  })
  const listening = fc.record({
    localPort: fc.integer({ min: PORT, max: PORT + 2 }),
    local: fc.constantFrom([0, 0, 0, 0], [10, 0, 0, 5]),
  })

  test('are the same whether listeners are listed before or after their connections', () => {
    fc.assert(
      fc.property(
        fc.array(socket, { maxLength: 40 }),
        fc.array(listening, { maxLength: 3 }),
        (sockets, listeners) => {
          const connections = sockets.map((one) => ({ ...connection, ...one }))
          const servers = listeners.map((one) => ({ ...listener, ...one }))
          const [before, after] = [
            account(tcp(...servers, ...connections)),
            account(tcp(...connections, ...servers)),
          ]
          expect(describeAccounts(before)).toEqual(describeAccounts(after))
          expect(after.census.accepted.count()).toBe(0)
        },
      ),
    )
  })
})

function describeAccounts({ census, columns, ports }: ReturnType<typeof account>) {
  const { flows, tcpStates } = census
  const rows = Array.from({ length: flows.destinationCount() }, (_, index) => ({
    key: flows
      .keys()
      .slice(index * KEY_WORDS, (index + 1) * KEY_WORDS)
      .join(),
    used: columns.used[index],
    taken: columns.taken[index],
    live: columns.takenLive[index],
  }))
  return {
    inbound: columns.inboundFlows,
    count: columns.count,
    states: [...tcpStates],
    blocked: [ports.blockedByListener, ports.blockedByBound],
    rows: rows.filter(({ used }) => used !== 0).toSorted((a, b) => (a.key < b.key ? -1 : 1)),
  }
}
