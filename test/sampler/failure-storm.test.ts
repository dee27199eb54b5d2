import { expect, test } from 'vitest'
import { createFailureBooks } from '../../src/sampler/failure-books.ts'
import { buildEvent, buildReading } from '../failures/readings.ts'
import { buildNamespace } from '../support/netns/namespace.ts'
import { sampleState } from '../support/render/sample-snapshot.ts'

const NAMESPACES = 250
const KINDS = 2000
const BASE_KINDS = 20

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

const rows = Array.from({ length: 20 }, (_, index) => ({
  source: '10.0.0.5',
  destination: `10.0.${index}.9:1000`,
  usedPorts: 990,
  timeWaitPorts: 0,
  utilizationRatio: 0.99,
}))
const state = { ...sampleState, destinations: { count: 20, rows, other: undefined } }
const namespaces = Array.from({ length: NAMESPACES }, (_, index) =>
  buildNamespace({ netns: `inode/${index}`, state }),
)
const named = namespaces.map(({ netns }) => [netns, netns] as const)

/** CPU milliseconds of the calling thread for one sample, the least of several. */
function timeBooking(kinds: number): number {
  const books = createFailureBooks(
    { everyNamespace: true, peakWindowSeconds: 60, failures: undefined, tracefs: undefined },
    () => performance.now() / 1000,
  )
  const recorded = {
    instancePath: '/nowhere',
    reading: buildStorm(kinds),
    present: named.map(([key]) => key),
    named,
  }
  const times = Array.from({ length: 5 }, () => {
    const before = process.cpuUsage()
    books.book(namespaces, recorded)
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1000
  })
  return Math.min(...times)
}

test('a storm of failures costs the main thread what its kinds cost, not kinds times namespaces times rows', () => {
  const base = timeBooking(BASE_KINDS)
  const storm = timeBooking(KINDS)
  // 250 namespaces of 20 rows are looked through once either way.
  expect(storm).toBeLessThan(20 + 10 * base)
})
