import { describe, expect, test } from 'vitest'
import {
  advanceLedger,
  emptyLedger,
  type FailureLedger,
  type LedgerInput,
  renderFailures,
  renderUnknownFailures,
} from '../../src/ledger/ledger.ts'
import { ELSEWHERE, type FailureReading } from '../../src/sample.ts'
import { buildEvent, buildReading } from '../failures/readings.ts'

const present = ['a', 'b']
const idle = buildReading([])

/** Without `changes` a pair counts one sample after its first. */
function advance(
  ledger: FailureLedger,
  reading: FailureReading,
  changes: Partial<LedgerInput> = {},
): FailureLedger {
  const clock = { atSeconds: (ledger.atSeconds ?? 0) + 1, holdSeconds: 1 }
  return advanceLedger(ledger, { ...clock, reading, present, published: present, ...changes })
}

/** The totals of a, b and unknown; the ledger is a sample further then. */
function totalsOf(ledger: FailureLedger): (number | undefined)[] {
  const settled = advance(ledger, idle)
  return [
    renderFailures(settled, 'a'),
    renderFailures(settled, 'b'),
    renderUnknownFailures(settled),
  ].map((failures) => failures?.pools[0]?.total)
}

const opened = advance(emptyLedger, idle)

describe('advanceLedger()', () => {
  test('publishes 0 for every namespace and for unknown in the first sample', () => {
    expect(renderFailures(opened, 'a')).toEqual({
      pools: [{ pool: 'tcp_connect', total: 0 }],
      destinations: [],
    })
    expect(renderUnknownFailures(opened)?.pools).toEqual([{ pool: 'tcp_connect', total: 0 }])
    expect(renderFailures(opened, 'c')).toBeUndefined()
  })

  test('books each event in its namespace', () => {
    const reading = buildReading(
      [
        { cpu: 0, gone: 3 },
        { cpu: 1, gone: 4 },
      ],
      [buildEvent({ count: 3 }), buildEvent({ cpu: 1, netns: 'b', count: 4 })],
    )
    expect(totalsOf(advance(opened, reading))).toEqual([3, 4, 0])
  })

  test('shares out what a ring lost as that ring was filled, without a destination', () => {
    const reading = buildReading(
      [
        { cpu: 0, gone: 5000 },
        { cpu: 1, gone: 10 },
      ],
      [buildEvent({ count: 900 }), buildEvent({ cpu: 1, netns: 'b', count: 10 })],
    )
    const ledger = advance(advance(opened, reading), idle)
    expect(totalsOf(ledger)).toEqual([5000, 10, 0])
    expect(renderFailures(ledger, 'a')?.destinations).toEqual([
      { destination: 'other', owner: 'other', total: 4100 },
      { destination: '10.0.0.9:443', owner: 'shop.service', total: 900 },
    ])
  })

  test('shares out among the namespaces of one ring in proportion', () => {
    const events = [buildEvent({ count: 300 }), buildEvent({ netns: 'b', count: 100 })]
    expect(totalsOf(advance(opened, buildReading([{ gone: 4000 }], events)))).toEqual([
      3000, 1000, 0,
    ])
  })

  test('counts on from what it has booked, when another worker reads', () => {
    const first = advance(opened, buildReading([{ gone: 100 }], [buildEvent({ count: 100 })]))
    // The first reading of a recorder names every ring, whatever is in it.
    const again = advance(first, buildReading([{ gone: 100 }]))
    expect(totalsOf(again)).toEqual([100, 0, 0])
    const more = advance(again, buildReading([{ gone: 103 }], [buildEvent({ count: 3 })]))
    expect(totalsOf(more)).toEqual([103, 0, 0])
  })

  test('counts what a dead worker had read and never told, as unknown where nothing else is known', () => {
    const first = advance(opened, buildReading([{ gone: 100 }], [buildEvent({ count: 100 })]))
    expect(totalsOf(advance(first, buildReading([{ gone: 140 }])))).toEqual([100, 0, 40])
    const reading = buildReading([{ gone: 145 }], [buildEvent({ count: 5 })])
    expect(totalsOf(advance(first, reading))).toEqual([145, 0, 0])
  })

  test.each([
    ['5 s', 5, 60],
    ['10 s', 10, 60],
    // The next one would be too late.
    ['11 s', 11, 55],
    ['40 s', 40, 40],
    ['90 s', 90, 90],
  ])('keeps the 0 of a new pair for a minute at most at an interval of %s', (_name, step, held) => {
    let ledger = advance(emptyLedger, idle, { atSeconds: 0 })
    const failure = buildReading([{ gone: 3 }], [buildEvent({ count: 3 })])
    ledger = advance(ledger, failure, { atSeconds: step, holdSeconds: 60 })
    for (let passed = 0; passed < held; passed += step) {
      expect(renderFailures(ledger, 'a')).toMatchObject({
        pools: [{ total: 3 }],
        destinations: [{ total: 0 }],
      })
      // A timer is never quite in time.
      const late = step * 0.02 * ((passed / step) % 2)
      const atSeconds = 2 * step + passed + late
      ledger = advance(ledger, idle, { atSeconds, holdSeconds: 60 })
    }
    expect(renderFailures(ledger, 'a')?.destinations).toMatchObject([{ total: 3 }])
  })

  test('begins anew when somebody has cleared the rings by hand', () => {
    const first = advance(opened, buildReading([{ gone: 100 }], [buildEvent({ count: 100 })]))
    const cleared = buildReading([{ gone: 2 }], [buildEvent({ count: 2 })])
    expect(totalsOf(advance(first, cleared))).toEqual([102, 0, 0])
  })

  test('does not count the records of others', () => {
    const reading = buildReading([{ gone: 5, strangers: 2 }], [buildEvent({ count: 3 })])
    expect(totalsOf(advance(opened, reading))).toEqual([3, 0, 0])
  })

  test('books as unknown what has no namespace, or one that does not exist', () => {
    const events = [
      buildEvent({ netns: undefined, owner: undefined, count: 2 }),
      buildEvent({ netns: 'gone', count: 3 }),
    ]
    const ledger = advance(opened, buildReading([{ gone: 5 }], events))
    expect(totalsOf(ledger)).toEqual([0, 0, 5])
    expect(renderUnknownFailures(advance(ledger, idle))?.destinations).toEqual([
      { destination: '10.0.0.9:443', owner: 'shop.service', total: 3 },
      { destination: '10.0.0.9:443', owner: 'unknown', total: 2 },
    ])
  })

  test('asks where an event must have been whose thread has gone', () => {
    const reading = buildReading([{ gone: 2 }], [buildEvent({ netns: undefined, count: 2 })])
    const locate: LedgerInput['locate'] = ({ source, destination }) =>
      source === '10.0.0.5' && destination === '10.0.0.9:443' ? 'b' : undefined
    expect(totalsOf(advance(opened, reading, { locate }))).toEqual([0, 2, 0])
  })

  test('counts nothing of a namespace that is not watched, its share of the lost included', () => {
    const events = [buildEvent({ netns: ELSEWHERE, count: 3 }), buildEvent({ count: 1 })]
    expect(totalsOf(advance(opened, buildReading([{ gone: 400 }], events)))).toEqual([100, 0, 0])
  })

  test('keeps what happened before a namespace had its name until after its first sample', () => {
    const unnamed = { present: ['a', 'b'], published: ['b'] }
    const hidden = advance(
      emptyLedger,
      buildReading([{ gone: 7 }], [buildEvent({ count: 7 })]),
      unnamed,
    )
    expect(renderFailures(hidden, 'a')).toBeUndefined()
    const born = advance(hidden, idle)
    expect(renderFailures(born, 'a')?.pools[0]?.total).toBe(0)
    expect(totalsOf(born)).toEqual([7, 0, 0])
  })

  test('drops a namespace that has vanished, and begins at 0 with the next of its key', () => {
    const busy = advance(opened, buildReading([{ gone: 7 }], [buildEvent({ count: 7 })]))
    const alone = advance(busy, idle, { present: ['b'], published: ['b'] })
    expect(renderFailures(alone, 'a')).toBeUndefined()
    expect(totalsOf(alone)).toEqual([0, 0, 0])
  })

  test('books as unknown what a namespace had no time to publish', () => {
    const born = advance(emptyLedger, buildReading([{ gone: 7 }], [buildEvent({ count: 7 })]))
    expect(renderFailures(born, 'a')?.pools[0]?.total).toBe(0)
    const alone = advance(born, idle, { present: ['b'], published: ['b'] })
    expect(renderUnknownFailures(alone)?.pools[0]?.total).toBe(7)
  })

  test('survives structured cloning', () => {
    const busy = advance(opened, buildReading([{ gone: 7 }], [buildEvent({ count: 7 })]))
    expect(structuredClone(busy)).toEqual(busy)
  })

  test('books every failure once, whatever the readings and wherever a worker dies', () => {
    let ledger = opened
    let gone = 0
    for (let sample = 1; sample <= 50; sample++) {
      const decoded = sample % 5
      gone += decoded + (sample % 3 === 0 ? 11 : 0)
      // Every seventh reading is lost with its worker.
      if (sample % 7 === 0) continue
      const events = decoded === 0 ? [] : [buildEvent({ count: decoded })]
      ledger = advance(ledger, buildReading([{ gone }], events))
    }
    const [a = 0, b = 0, unknown = 0] = totalsOf(ledger)
    expect(a + b + unknown).toBe(gone)
  })
})
