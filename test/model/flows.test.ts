import { describe, expect, test } from 'vitest'
import { createFlowTable, type FlowUse, HOLD, KEY_WORDS } from '../../src/model/flows.ts'

const PORT = 40_000
const plain: FlowUse = { hold: HOLD.live, state: 1, expirySeconds: 0, owner: 0, explicit: false }

/** The one flow that two rows of one socket become. */
function settle(
  rows: readonly Partial<FlowUse>[],
  preferOwner?: (owner: number, other: number) => boolean,
) {
  const table = createFlowTable(preferOwner)
  const destination = table.destination(new Uint32Array(KEY_WORDS))
  for (const row of rows) table.addFlow(destination, PORT, { ...plain, ...row })
  table.settleFlows()
  expect(table.flowCount()).toBe(1)
  const { hold, state, expirySeconds, owner } = table.columns()
  return {
    hold: hold[0],
    state: state[0],
    expirySeconds: expirySeconds[0],
    ...(preferOwner && { owner: owner[0] }),
  }
}

describe('settleFlows() keeps, of two rows of one socket,', () => {
  const { reclaimable, finWait2, timeWait, live } = HOLD
  test.each([
    ['an open one before one in TIME_WAIT', { hold: live }, { hold: timeWait }],
    ['TIME_WAIT before a FIN_WAIT2 without owner', { hold: timeWait }, { hold: finWait2 }],
    ['FIN_WAIT2 before what may be recycled', { hold: finWait2 }, { hold: reclaimable }],
    [
      'the hold before the time that is left',
      { hold: live, expirySeconds: 0 },
      { hold: timeWait, expirySeconds: 59 },
    ],
    [
      'the one that stays longer',
      { hold: timeWait, expirySeconds: 31 },
      { hold: timeWait, expirySeconds: 30 },
    ],
    [
      'the time that is left before the state',
      { expirySeconds: 2, state: 1 },
      { expirySeconds: 1, state: 11 },
    ],
    ['the higher state', { state: 8 }, { state: 1 }],
  ])('%s, whichever comes first', (_rule, stronger, weaker) => {
    const want = settle([stronger])
    expect(want).not.toEqual(settle([weaker]))
    expect(settle([stronger, weaker])).toEqual(want)
    expect(settle([weaker, stronger])).toEqual(want)
    expect(settle([weaker, stronger, weaker])).toEqual(want)
  })

  test('the owner that is preferred, but only among equals', () => {
    const higher = (owner: number, other: number) => owner > other
    expect(settle([{ owner: 2 }, { owner: 3 }], higher).owner).toBe(3)
    expect(settle([{ owner: 3 }, { owner: 2 }], higher).owner).toBe(3)
    const weak = { hold: HOLD.timeWait, owner: 9 }
    expect(settle([{ owner: 3 }, weak], higher).owner).toBe(3)
    expect(settle([weak, { owner: 3 }], higher).owner).toBe(3)
  })
})

describe('createFlowTable()', () => {
  /** Keys that differ in one word only, each word in turn. */
  function* listKeys(count: number): Generator<Uint32Array> {
    for (let index = 0; index < count; index++) {
      const key = new Uint32Array(KEY_WORDS)
      key[index % KEY_WORDS] = Math.floor(index / KEY_WORDS) + 1
      yield key
    }
  }

  test('tells destinations apart by every word, however many there are', () => {
    const table = createFlowTable()
    const keys = [...listKeys(5000)]
    expect(keys.map((key) => table.destination(key))).toEqual(keys.map((_, index) => index))
    expect(keys.map((key) => table.destination(key))).toEqual(keys.map((_, index) => index))
    expect(keys.map((key) => table.findDestination(key))).toEqual(keys.map((_, index) => index))
    expect(table.destinationCount()).toBe(5000)
    expect(table.findDestination(new Uint32Array(KEY_WORDS).fill(7))).toBe(-1)
    expect(table.destinationCount()).toBe(5000)
    const columns = table.keys()
    for (const [index, key] of keys.entries()) {
      expect(columns.subarray(index * KEY_WORDS, (index + 1) * KEY_WORDS)).toEqual(key)
    }
  })

  test('finds each of many flows by destination and port, with what it was noted with', () => {
    const table = createFlowTable(() => false)
    const flows = Array.from({ length: 5000 }, (_, index) => ({
      destination: index % 7,
      port: 30_000 + Math.floor(index / 7),
      use: {
        ...{ hold: index % 4, state: index % 11, expirySeconds: index % 60, owner: index },
        explicit: index % 3 === 0,
      },
    }))
    // Each twice, so that what is settled is moved.
    for (const { destination, port, use } of [...flows, ...flows]) {
      table.addFlow(destination, port, use)
    }
    table.settleFlows()
    expect(table.flowCount()).toBe(flows.length)
    const { hold, state, expirySeconds, owner, explicit } = table.columns()
    for (const { destination, port, use } of flows) {
      const at = table.findFlow(destination, port)
      expect({
        hold: hold[at],
        state: state[at],
        expirySeconds: expirySeconds[at],
        owner: owner[at],
        explicit: explicit[at] === 1,
      }).toEqual(use)
    }
    expect(table.findFlow(7, 30_000)).toBe(-1)
    expect(table.findFlow(0, 29_999)).toBe(-1)
  })

  test('is empty again after clear(), and goes on from there', () => {
    const table = createFlowTable()
    const [first, second] = [...listKeys(2)]
    if (first === undefined || second === undefined) throw new Error('There are no keys')
    table.addFlow(table.destination(first), PORT, plain)
    table.settleFlows()
    table.clear()
    expect([table.destinationCount(), table.flowCount()]).toEqual([0, 0])
    expect(table.findDestination(first)).toBe(-1)
    table.settleFlows()
    expect(table.findFlow(0, PORT)).toBe(-1)
    expect([table.destination(second), table.destination(first)]).toEqual([0, 1])
  })
})
