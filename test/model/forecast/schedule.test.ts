import { expect, test } from 'vitest'
import type { ForecastTrack } from '../../../src/model/forecast/reading.ts'
import { advanceLateness, takeSchedule } from '../../../src/model/forecast/schedule.ts'

/** Ten closes a second, of which those of two seconds more are still there with nothing left on their timers. */
const late: ForecastTrack = {
  key: '',
  availablePorts: 1000,
  livePorts: 0,
  timeWaitPorts: 620,
  reclaimablePorts: 0,
  expiring: [30, ...new Array<number>(59).fill(10)],
}

test('advanceLateness() learns how long after its time a TIME_WAIT really goes', () => {
  let lateSeconds = 0
  for (let sample = 0; sample < 60; sample++) lateSeconds = advanceLateness(lateSeconds, late)
  expect(lateSeconds).toBeCloseTo(2, 1)
  expect(advanceLateness(0, { ...late, expiring: new Array<number>(60).fill(1) })).toBe(0)
})

test('takeSchedule() tells the overdue by when they closed', () => {
  const schedule = takeSchedule(late, { lateSeconds: 2 })
  expect(schedule?.lifetimeSeconds).toBe(62)
  expect(schedule?.closed).toHaveLength(62)
  for (const ports of schedule?.closed ?? []) expect(ports).toBeCloseTo(10)
})

test('takeSchedule() takes the reuse delay for the life of what is recycled, once something was', () => {
  const reuse = { lateSeconds: 0, reuseDelaySeconds: 20 }
  const recycled = takeSchedule({ ...late, timeWaitPorts: 200, reclaimablePorts: 420 }, reuse)
  expect(recycled?.lifetimeSeconds).toBe(20)
  expect(takeSchedule(late, reuse)?.lifetimeSeconds).toBe(60)
})
