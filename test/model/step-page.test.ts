// What of a reading and of its moment goes to the page and to the forecast as it is.

import { expect, test } from 'vitest'
import { createStep } from '../../src/model/step.ts'
import { createReading, plainStepOptions } from '../support/kernel/readings.ts'
import { createLine, establish } from './step-play.ts'

const step = createStep(plainStepOptions)

test('step() passes on what the reader says of itself and of the namespace', () => {
  const reading = {
    ...createReading([]),
    reader: 'procfs',
    exactness: 'upper_bound',
    rangeOrigin: 'pod_spec',
    activeOpens: 41,
    timeWaitRecycled: 7,
  } as const
  const { namespace } = step(undefined, reading, { atSeconds: 12, unixSeconds: 1_700_000_012 })
  expect(namespace).toMatchObject({
    readAtSeconds: 1_700_000_012,
    reader: 'procfs',
    exactness: 'upper_bound',
    rangeOrigin: 'pod_spec',
    connectionsOpened: 41,
    timeWaitRecycled: 7,
  })
})

test('step() leaves out what is not known', () => {
  const { namespace } = step(undefined, createReading([]), { atSeconds: 0, unixSeconds: 0 })
  expect(namespace).toMatchObject({
    rangeOrigin: 'sysctl',
    connectionsOpened: undefined,
    timeWaitRecycled: undefined,
    owners: undefined,
  })
})

test('a destination that is followed no longer does not count as an idle one', () => {
  const line = createLine({ ports: 400 })
  const bigger = Array.from({ length: 45 }, (_, at) => establish(50 + at, 60)).flat()
  const followed = [0, 1, 2, 3, 4].map((turn) => {
    line.look(5 * turn, [...establish(7, 40), ...(turn === 0 ? [] : bigger)])
    const { tracks = [] } = line.state()?.pools.tcp_connect?.forecast ?? {}
    return tracks.some(({ key }) => key.endsWith(' 192.168.0.7:443'))
  })
  expect([followed[0], followed.at(-1)]).toEqual([true, false])
})
