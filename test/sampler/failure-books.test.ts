import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { holdInstance, removeInstance } from '../../src/failures/instance.ts'
import { SourceError } from '../../src/observation.ts'
import type { FailureReading, Recorded } from '../../src/sample.ts'
import { createFailureBooks, type FailureBooksOptions } from '../../src/sampler/failure-books.ts'
import type { Snapshot } from '../../src/snapshot.ts'
import { buildEvent, buildReading } from '../failures/readings.ts'
import { samplesOf } from '../metrics/samples-of.ts'
import { buildNamespace } from '../support/netns/namespace.ts'
import { sampleSnapshot, sampleState } from '../support/render/sample-snapshot.ts'

vi.mock(import('../../src/failures/instance.ts'), async (importOriginal) => ({
  ...(await importOriginal()),
  holdInstance: vi.fn(),
  removeInstance: vi.fn(),
}))

const hold = vi.mocked(holdInstance)
const remove = vi.mocked(removeInstance)
const release = vi.fn()
const PATH = '/tracing/instances/ours'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  hold.mockReset().mockReturnValue(release)
  remove.mockReset().mockReturnValue(true)
  release.mockReset()
})
afterEach(() => {
  vi.useRealTimers()
})

let now = 0

/** A sample each second; a new pair is 0 for that long. */
function createBooks(part: Partial<FailureBooksOptions> = {}) {
  const options = {
    everyNamespace: true,
    peakWindowSeconds: 1,
    failures: undefined,
    tracefs: undefined,
    ...part,
  }
  return createFailureBooks(options, () => now++)
}

/** Namespaces `host`, `b` ... with the keys `key of host`, `key of b` ... */
function record(reading: FailureReading | undefined, names: readonly string[]): Recorded {
  const keyOf = (netns: string) => `key of ${netns}`
  return {
    instancePath: PATH,
    reading,
    present: [...names.map(keyOf), 'key of one without a name'],
    named: names.map((netns) => [keyOf(netns), netns]),
  }
}

const refused = (gone: number, netns: string | undefined, count: number) =>
  buildReading([{ gone }], [buildEvent({ netns: netns && `key of ${netns}`, count })])
const nothing = buildReading([])
const namespaces = ['host', 'b'].map((netns) => buildNamespace({ netns }))
const totals = (rows: Snapshot['namespaces']) =>
  rows.map(({ allocationFailures }) => allocationFailures?.pools[0]?.total)

describe('book()', () => {
  test('gives every namespace its counter, which begins at 0 and outlives the worker', () => {
    const { book } = createBooks()
    const seen = [
      record(refused(3, 'b', 3), ['host', 'b']),
      record(nothing, ['host', 'b']),
      // Another worker, which begins with what the rings say of all times.
      record(refused(5, 'b', 2), ['host', 'b']),
      record(nothing, ['host', 'b']),
    ].map((recorded) => book(namespaces, recorded))
    expect(seen.map((one) => totals(one.namespaces))).toEqual([
      [0, 0],
      [0, 3],
      [0, 5],
      [0, 5],
    ])
    expect(seen.at(-1)?.namespaces[1]?.allocationFailures?.destinations).toEqual([
      { destination: '10.0.0.9:443', owner: 'shop.service', total: 5 },
    ])
    expect(seen.at(-1)?.unattributed?.pools[0]?.total).toBe(0)
  })

  test.each([15, 30, 60])('lets increase() see a burst when scraped every %d s', async (scrape) => {
    const step = 5
    for (let phase = 0; phase < scrape; phase += step) {
      now = 0
      const books = createFailureBooks(
        { everyNamespace: true, peakWindowSeconds: 120, failures: undefined, tracefs: undefined },
        () => now,
      )
      const pages: string[] = []
      for (; now <= 300; now += step) {
        const reading = now === 60 ? refused(9, 'b', 9) : nothing
        const { namespaces: rows } = books.book(namespaces, record(reading, ['host', 'b']))
        if (now % scrape !== phase) continue
        const pattern = /_allocation_failures_total/
        pages.push(await samplesOf({ ...sampleSnapshot, namespaces: rows }, pattern))
      }
      const seriesOf = (name: RegExp) =>
        pages.flatMap((page) => name.exec(page)?.slice(1).map(Number) ?? [])
      const pair = seriesOf(/_destination_allocation_failures_total\{netns="b".*\} (\d+)/)
      const total = seriesOf(/_port_allocation_failures_total\{netns="b".*\} (\d+)/)
      expect([...new Set(pair)]).toEqual([0, 9])
      // Whoever is paged after a minute is told the destination.
      const afterMinute = 60 / scrape
      const firstFailing = total.indexOf(9)
      const firstNamed = total.length - pair.length + pair.indexOf(9)
      expect(firstNamed - firstFailing).toBeLessThanOrEqual(afterMinute)
    }
  })

  test('shows all of a quiet namespace from the sample on in which its first failure is counted', () => {
    const { book } = createBooks()
    const quiet = namespaces.map((one) => ({ ...one, detailed: false }))
    const seen = [nothing, refused(3, 'b', 3), nothing, nothing].map((reading) =>
      book(quiet, record(reading, ['host', 'b'])),
    )
    expect(seen.map((one) => one.namespaces.map(({ detailed }) => detailed))).toEqual([
      [false, false],
      [false, true],
      [false, true],
      [false, true],
    ])
    const born = seen[1]?.namespaces[1]?.allocationFailures?.destinations
    expect(born).toMatchObject([{ total: 0 }])
  })

  test('leaves everything unknown without a reading, and loses nothing by it', () => {
    const { book } = createBooks()
    book(namespaces, record(nothing, ['host', 'b']))
    for (const recorded of [undefined, record(undefined, ['host', 'b'])]) {
      const { namespaces: rows, unattributed } = book(namespaces, recorded)
      expect(totals(rows)).toEqual([undefined, undefined])
      expect(unattributed).toBeUndefined()
    }
    const { namespaces: rows } = book(namespaces, record(refused(4, 'host', 4), ['host', 'b']))
    expect(totals(rows)).toEqual([4, 0])
  })

  test('finds the namespace of an ended thread by the destination that is exhausted there', () => {
    const row = { source: '10.0.0.5', destination: '10.0.0.9:443', usedPorts: 9, timeWaitPorts: 0 }
    const rows = [{ ...row, utilizationRatio: 1 }]
    const state = { ...sampleState, destinations: { count: 1, rows, other: undefined } }
    const full = [buildNamespace(), buildNamespace({ netns: 'b', state })]
    const { book } = createBooks()
    book(full, record(nothing, ['host', 'b']))
    const found = book(full, record(refused(2, undefined, 2), ['host', 'b']))
    expect([totals(found.namespaces), found.unattributed?.pools[0]?.total]).toEqual([[0, 2], 0])
    const lost = book(namespaces, record(refused(5, undefined, 3), ['host', 'b']))
    expect([totals(lost.namespaces), lost.unattributed?.pools[0]?.total]).toEqual([[0, 2], 3])
  })

  test('says nothing of unknown namespaces when only one is watched', () => {
    const { book } = createBooks({ everyNamespace: false })
    book(namespaces, record(nothing, ['host', 'b']))
    const { unattributed } = book(namespaces, record(refused(1, undefined, 1), ['host', 'b']))
    expect(unattributed).toBeUndefined()
  })

  test('holds the instance from the first word of it, once, and tries again when that fails', () => {
    const { book } = createBooks()
    hold.mockImplementationOnce(() => {
      throw new SourceError('exhausted', 'EMFILE')
    })
    // Even one that cannot be read: it is there.
    for (let again = 0; again < 3; again++) book(namespaces, record(undefined, ['host']))
    expect(hold.mock.calls).toEqual([[PATH], [PATH]])
    expect(release).not.toHaveBeenCalled()
  })
})

describe('close()', () => {
  test('lets go of the instance, then removes it', async () => {
    const { book, close } = createBooks()
    book(namespaces, record(nothing, ['host']))
    remove.mockImplementation(() => {
      expect(release).toHaveBeenCalledOnce()
      return true
    })
    await close()
    expect(remove.mock.calls).toEqual([[PATH]])
    await close()
    expect(remove).toHaveBeenCalledOnce()
  })

  test('waits a moment for whoever reads it just now, not for ever', async () => {
    const { book, close } = createBooks()
    book(namespaces, record(nothing, ['host']))
    remove.mockReturnValueOnce(false).mockReturnValueOnce(false)
    const patient = close()
    await vi.advanceTimersByTimeAsync(100)
    await patient
    expect(remove).toHaveBeenCalledTimes(3)

    book(namespaces, record(nothing, ['host']))
    remove.mockReset().mockReturnValue(false)
    const inVain = close()
    await vi.advanceTimersByTimeAsync(1000)
    await inVain
    expect(remove).toHaveBeenCalledTimes(10)
  })

  test('leaves to the next start what it may not remove', async () => {
    const { book, close } = createBooks()
    book(namespaces, record(nothing, ['host']))
    remove.mockImplementation(() => {
      throw new SourceError('permission', 'EPERM')
    })
    await close()
    expect(remove).toHaveBeenCalledOnce()
  })

  test('removes what a worker may have made that never said so', async () => {
    const place = mkdtempSync(join(tmpdir(), 'tracefs-'))
    mkdirSync(join(place, 'instances'))
    try {
      await createBooks({ failures: 'ours', tracefs: place }).close()
      expect(remove.mock.calls).toEqual([[`${place}/instances/ours`]])
      await createBooks({ failures: undefined, tracefs: place }).close()
      await createBooks({ failures: 'ours', tracefs: '/nowhere' }).close()
      await createBooks().close()
      expect(remove).toHaveBeenCalledOnce()
    } finally {
      rmSync(place, { recursive: true })
    }
  })
})
