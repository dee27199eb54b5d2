import { expect, test } from 'vitest'
import { createTally } from '../../src/failures/tally.ts'
import { advanceLedger, emptyLedger, renderFailures } from '../../src/ledger/ledger.ts'
import { createLocate } from '../../src/ledger/locate.ts'
import type { FailureReading } from '../../src/sample.ts'
import { sampleState } from '../support/render/sample-snapshot.ts'

const CPUS = 64
const RING_EVENTS = 850
const VICTIM = { source: '10.0.0.1', destination: '10.0.0.2:443' }
const row = { ...VICTIM, usedPorts: 990, timeWaitPorts: 0, utilizationRatio: 1 }
const state = { ...sampleState, destinations: { count: 1, rows: [row], other: undefined } }

const failure = (source: number, remote: number, remotePort: number) => ({
  pid: 1,
  remotePort,
  localAddress: Uint32Array.of(0, 0, 0xffff, source),
  remoteAddress: Uint32Array.of(0, 0, 0xffff, remote),
})

/** What the victim's namespace counts where a tenant fills the rings of all CPUs but one, and all threads have ended. */
function countOfVictim(fails: number, tenant: (at: number) => ReturnType<typeof failure>): number {
  const tally = createTally({ netnsOf: () => undefined, ownerOf: () => undefined })
  for (let at = 0; at < (CPUS - 1) * RING_EVENTS; at++) tally.add(at % (CPUS - 1), tenant(at))
  for (let at = 0; at < fails; at++) {
    tally.add(CPUS - 1, failure(0x0a00_0001, 0x0a00_0002, 443))
  }
  const events = tally.events()
  const rings = Array.from({ length: CPUS }, (_, cpu) => {
    const here = events.filter((event) => event.cpu === cpu)
    return { cpu, gone: here.reduce((sum, { count }) => sum + count, 0), strangers: 0 }
  })
  const nothing = { rings: [], events: [], problem: undefined }
  const read: readonly FailureReading[] = [nothing, { rings, events, problem: undefined }, nothing]
  const ledger = read.reduce(
    (before, reading, turn) =>
      advanceLedger(before, {
        atSeconds: 5 * turn,
        holdSeconds: 5,
        reading,
        present: ['victim', 'tenant'],
        published: ['victim', 'tenant'],
        locate: createLocate([{ key: 'victim', state }]),
      }),
    emptyLedger,
  )
  return renderFailures(ledger, 'victim')?.pools[0]?.total ?? 0
}

test.each<[string, number, (at: number) => ReturnType<typeof failure>]>([
  ['of one source to many ports', 1, (at) => failure(0x0a01_0000, 0x7f00_0001, 1 + (at >> 6))],
  ['of many sources', 2, (at) => failure(0x0a01_0000 + at, 0x7f00_0001, 443)],
  ['of many sources, twice each', 3, (at) => failure(0x0a01_0000 + (at >> 1), 0x7f00_0001, 443)],
])('failures %s do not hide those of another', (_what, fails, tenant) => {
  expect(countOfVictim(fails, tenant)).toBe(fails)
})
