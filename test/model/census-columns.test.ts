import { expect, test } from 'vitest'
import { createCensusTaker } from '../../src/model/census.ts'
import type { NetSettings } from '../../src/observation.ts'
import { plainSettings, replayDumps, type WireDump } from '../support/kernel/readings.ts'
import { connection, tcp, timeWait } from './accounts.ts'

test('leaves nothing of one namespace in the columns of the next, whatever their ranges are', () => {
  const socketsOf = (port: number): WireDump[] => [
    ...tcp(
      { ...connection, state: 10, localPort: port, remotePort: 0, remote: [0, 0, 0, 0] },
      { ...timeWait(1000), localPort: port + 1 },
    ),
    {
      protocol: 'udp',
      explicit: true,
      sockets: [{ ...connection, state: 7, localPort: port, remotePort: 0 }],
    },
  ]
  const takeOf = (take: ReturnType<typeof createCensusTaker>, range: NetSettings['range']) => {
    const dumps = [...socketsOf(5000), ...socketsOf(40_000)]
    const census = take({ ...plainSettings, range }, replayDumps(dumps), 'user')
    const { portUse, portExpirySeconds, owners } = census
    return [portUse, portExpirySeconds, owners?.tcpHolder, owners?.udpHolder].map((column) =>
      [...(column ?? []).entries()].filter(([, value]) => value !== 0),
    )
  }
  const shared = createCensusTaker({ owners: true })
  const ranges = [
    { first: 4000, last: 6000 },
    { first: 39_000, last: 41_000 },
    { first: 1024, last: 65_535 },
    { first: 5001, last: 5001 },
    { first: 1024, last: 1100 },
    { first: 1024, last: 65_535 },
  ]
  for (const range of ranges) {
    const alone = takeOf(createCensusTaker({ owners: true }), range)
    expect(takeOf(shared, range)).toEqual(alone)
  }
})
