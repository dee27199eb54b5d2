import { describe, expect, test } from 'vitest'
import { createCensusTaker } from '../../src/model/census.ts'
import { createClosedPorts } from '../../src/model/closed-ports.ts'
import { createHeldCounter } from '../../src/model/held-ports.ts'
import { createTcpSharing, shareUdpPorts } from '../../src/model/owners/ports.ts'
import type { Ports } from '../../src/model/ports.ts'
import { plainSettings, replayDumps } from '../support/kernel/readings.ts'
import { connection, nothingKnown, tcp } from './accounts.ts'

const range = { first: 40_000, last: 40_009 }
const settings = { ...plainSettings, range }

/** Counts that the census does not bear out: there is a socket on one port of each protocol, and all are said to have one. */
function disagree() {
  const owned = { ...connection, cgroupId: 7 }
  const udp = { protocol: 'udp', explicit: false, sockets: [owned] } as const
  const batches = replayDumps([...tcp(owned), udp])
  const taken = createCensusTaker({ owners: true })(settings, batches, 'cgroup')
  const now = { ...nothingKnown, census: taken, settings, before: undefined, atSeconds: 5 }
  const { ports: counted, columns } = createClosedPorts()(now)
  const { capacity } = counted.tcp
  const ports: Ports = {
    ...counted,
    ...{ blockedByBound: capacity, tcpUsed: capacity, udpUsed: capacity },
    tcp: { ...counted.tcp, available: 0 },
    udp: { ...counted.udp, live: capacity },
  }
  const census = { ...taken, portUse: endAfter(taken.portUse, range.last) }
  const limits = { firstPort: range.first, lastPort: range.last }
  if (census.owners === undefined) throw new Error('There are no owners')
  return { census, ports, columns, owners: census.owners, ...limits }
}

/** The same numbers. Whoever reads on beyond `last` is stopped. */
function endAfter(column: Uint16Array, last: number): Uint16Array {
  return new Proxy(column, {
    get(target, name) {
      if (Number(name) > last) throw new Error(`Read beyond the range, at ${String(name)}`)
      return Reflect.get(target, name)
    },
  })
}

describe('counts that disagree with the census end no loop too late', () => {
  test('of what holds ports', () => {
    const { owners: _, ...known } = disagree()
    const context = { ...known, boundInDoubt: undefined, ipv6: true, worst: -1, twin: -1 }
    const heldOf = createHeldCounter()(context)
    expect(heldOf('tcp_connect').groups.open).toBe(0)
    expect(heldOf('tcp_bind').groups.open).toBe(1)
    expect(heldOf('udp').groups.udp).toBe(1)
  })

  test('of whose ports are', () => {
    const context = { ...disagree(), slots: Int32Array.of(-1), minisocks: [] }
    expect([...createTcpSharing()({ ...context, listeners: [] })]).toEqual([[7, 1]])
    expect([...shareUdpPorts({ ...context, listeners: [] })]).toEqual([[7, 1]])
  })
})
