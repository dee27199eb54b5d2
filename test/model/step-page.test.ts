// What of a reading and of its moment goes to the page as it is.

import { expect, test } from 'vitest'
import { createStep } from '../../src/model/step.ts'
import { createReading, plainStepOptions } from '../support/kernel/readings.ts'

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
