import { expect, test } from 'vitest'
import {
  claimOn,
  clearOwners,
  createNumberTable,
  hashNumber,
  noteHolder,
  OWNERLESS,
  OWNERLESS_ID,
  outclaims,
  takeOwner,
} from '../../../src/model/owners/ids.ts'
import { createSocketBatch, FLAG, STATE } from '../../../src/observation.ts'

test('createNumberTable() numbers what it is asked for, and finds it again', () => {
  const table = createNumberTable()
  const numbers = Array.from({ length: 500 }, (_, at) => (at % 2 ? -at : 2 ** 33 + at))
  expect(table.find(numbers[0] ?? 0)).toBe(-1)
  for (const round of [1, 2]) {
    expect(numbers.map(table.index), `${round}`).toEqual(numbers.map((_, at) => at))
  }
  expect(numbers.map(table.find)).toEqual(numbers.map((_, at) => at))
  expect(numbers.map((_, at) => table.value(at))).toEqual(numbers)
  expect([table.count(), table.find(7), table.count()]).toEqual([500, -1, 500])
  table.clear()
  expect([table.count(), table.find(numbers[3] ?? 0), table.index(numbers[3] ?? 0)]).toEqual([
    0, -1, 0,
  ])
})

test('takeOwner() takes the cgroup, or the user, or nobody for what the kernel keeps', () => {
  const table = createNumberTable()
  clearOwners(table)
  const batch = createSocketBatch(4)
  const rows = [
    { cgroupId: 77, uid: 5, state: STATE.established },
    { cgroupId: 1, uid: 5, state: STATE.established },
    { cgroupId: 0, uid: 0, state: STATE.timeWait },
    { cgroupId: 0, uid: 0, state: STATE.finWait2, flags: FLAG.minisock },
  ]
  rows.forEach(({ cgroupId, uid, state, flags = 0 }, row) => {
    batch.cgroupId[row] = cgroupId
    batch.uid[row] = uid
    batch.state[row] = state
    batch.flags[row] = flags
  })
  const take = (by: Parameters<typeof takeOwner>[1]) =>
    rows.map((_, row) => table.value(takeOwner(table, by, batch, row)))
  expect(take('cgroup')).toEqual([77, -4 - 5, OWNERLESS_ID, OWNERLESS_ID])
  expect(take('kernel')).toEqual([-3, -3, -3, -3])
  expect(take('user')).toEqual([5, 5, OWNERLESS_ID, OWNERLESS_ID])
})

test('noteHolder() keeps the owner whose claim on the port is highest, in any order', () => {
  const [one, other] = [1000, 2000]
  const winner = outclaims(40_000, one, other) ? one : other
  expect(claimOn(40_000, hashNumber(winner))).toBe(
    Math.max(...[one, other].map((id) => claimOn(40_000, hashNumber(id)))),
  )
  for (const ids of [
    [one, other],
    [other, one],
  ]) {
    const table = createNumberTable()
    clearOwners(table)
    const holder = new Uint32Array(65_536)
    for (const id of ids) noteHolder(table, holder, 40_000, table.index(id))
    expect(table.value((holder[40_000] ?? OWNERLESS) & ~(2 ** 30))).toBe(winner)
    expect((holder[40_000] ?? 0) & (2 ** 30)).not.toBe(0)
  }
})
