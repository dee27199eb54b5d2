import { expect, test } from 'vitest'
import { createFailureBooks } from '../../src/sampler/failure-books.ts'
import { buildEvent, buildReading } from '../failures/readings.ts'
import { buildNamespace } from '../support/netns/namespace.ts'
import { cpuMsOf } from '../support/program/cpu-time.ts'
import { sampleState } from '../support/render/sample-snapshot.ts'

const NAMESPACES = 250
const KINDS = 2000
const ROWS = 20
/** Of CPU, on a node of 64 processors. */
const MOST_MS = 20
/** The first ones are compiled meanwhile, and others may have the processor's caches. */
const BOOKINGS = 30

/** Failures of threads that have ended, of as many kinds as one reading may have. */
function buildStorm(kinds: number) {
  const events = Array.from({ length: kinds }, (_, index) =>
    buildEvent({
      cpu: index % 64,
      netns: undefined,
      destination: `10.0.${index % 200}.9:${1000 + (index >> 6)}`,
    }),
  )
  const rings = Array.from({ length: 64 }, (_, cpu) => ({ cpu, gone: kinds }))
  return buildReading(rings, events)
}

let looks = 0
const rows = Array.from({ length: ROWS }, (_, index) => ({
  source: '10.0.0.5',
  destination: `10.0.${index}.9:1000`,
  usedPorts: 990,
  timeWaitPorts: 0,
  get utilizationRatio() {
    looks++
    return 0.99
  },
}))
const state = { ...sampleState, destinations: { count: ROWS, rows, other: undefined } }
const namespaces = Array.from({ length: NAMESPACES }, (_, index) =>
  buildNamespace({ netns: `inode/${index}`, state }),
)
const named = namespaces.map(({ netns }) => [netns, netns] as const)

test('a storm of failures costs the main thread little, because each row is looked at once', () => {
  const books = createFailureBooks(
    { everyNamespace: true, peakWindowSeconds: 60, failures: undefined, tracefs: undefined },
    () => performance.now() / 1000,
  )
  const recorded = {
    instancePath: '/nowhere',
    reading: buildStorm(KINDS),
    present: named.map(([key]) => key),
    named,
  }
  const times = Array.from({ length: BOOKINGS }, () => {
    looks = 0
    const ms = cpuMsOf(() => books.book(namespaces, recorded))
    expect(looks).toBe(NAMESPACES * ROWS)
    return ms
  })
  expect(Math.min(...times)).toBeLessThan(MOST_MS)
})
