import { expect, test } from 'vitest'
import { enterDestination } from '../../src/model/ranking.ts'
import { trackDestinations, trackPorts } from '../../src/model/tracks.ts'
import { plainSettings } from '../support/kernel/readings.ts'
import { account, connection, tcp, timeWait } from './accounts.ts'

const FIRST = 40_000
const on = (at: number, socket = connection) => ({ ...socket, localPort: FIRST + at })
/** To another destination. */
const other = (at: number, socket = connection) => ({ ...on(at, socket), remotePort: 80 })
const listener = { ...connection, state: 10, remotePort: 0, remote: [0, 0, 0, 0] }

test('a track has what its destination takes, and when that comes free; the last one is of all others', () => {
  const settings = {
    ...plainSettings,
    range: { first: FIRST, last: FIRST + 19 },
    reserved: [{ first: FIRST + 5, last: FIRST + 5 }],
  }
  const lasting = [10, 10, 45].map((seconds, at) => on(2 + at, timeWait(1000 * seconds)))
  const uncounted = [on(5), on(7)].map((one) => ({ ...one, ...timeWaitOf(one.localPort) }))
  const { census, ports, columns } = account(
    tcp(
      on(0),
      on(1),
      ...lasting,
      ...uncounted,
      on(7, listener),
      other(10),
      other(11, timeWait(7000)),
    ),
    settings,
  )
  const members = [0, 1].map((index) => ({
    ...enterDestination(census.flows, index),
    earlier: undefined,
  }))
  const gone = { ...enterDestination(census.flows, 0), index: -1, earlier: undefined }
  const [first, second, others, ...more] = trackDestinations(census, ports, columns, [
    ...members,
    gone,
  ])
  const expiring = (seconds: Readonly<Record<number, number>>) =>
    Object.fromEntries(
      (seconds as number[]).flatMap((count, at) => (count > 0 ? [[at, count]] : [])),
    )
  expect(more).toEqual([])
  expect(first).toMatchObject({
    key: '10.0.0.5 192.168.1.9:443',
    availablePorts: 18 - 5,
    livePorts: 2,
    timeWaitPorts: 3,
    reclaimablePorts: 0,
  })
  expect(expiring(first?.expiring ?? [])).toEqual({ 10: 2, 45: 1 })
  expect(second).toMatchObject({ availablePorts: 18 - 2, livePorts: 1, timeWaitPorts: 1 })
  expect(expiring(second?.expiring ?? [])).toEqual({ 7: 1 })
  expect(others).toMatchObject({ key: '', availablePorts: 18, livePorts: 0, timeWaitPorts: 0 })
  expect(expiring(others?.expiring ?? [])).toEqual({})
})

test('the track of bind() has no timetable, and its TIME_WAITs count as live', () => {
  expect(trackPorts({ capacity: 100, available: 60, unused: 60, live: 30, timeWait: 10 })).toEqual({
    ...{ key: '', availablePorts: 60, livePorts: 40, timeWaitPorts: 0, reclaimablePorts: 0 },
    expiring: [],
  })
})

function timeWaitOf(localPort: number) {
  return { ...timeWait(20_000), localPort }
}
