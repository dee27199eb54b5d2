import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { renderFilter } from '../../src/failures/instance.ts'
import { openRecorder, type Recorder } from '../../src/failures/recorder.ts'
import {
  advanceLedger,
  emptyLedger,
  type FailureLedger,
  renderFailures,
} from '../../src/ledger/ledger.ts'
import { DecodeError, SourceError } from '../../src/observation.ts'
import { buildRingPage, type PlannedEvent } from '../kernel/trace-ring-page-builder.ts'
import { currentFormat, readFixture } from './formats.ts'

const EVENT = 'events/sock/inet_sock_set_state'
const PAGE_BYTES = currentFormat.layout.bytes
const onLinux = test.runIf(process.platform === 'linux')
let place: string
let instance: string
let recorder: Recorder | undefined

/** A directory with the files of tracefs that are read, as one instance has them. */
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'tracefs-'))
  instance = join(place, 'instances/ours')
  for (const directory of [EVENT, `instances/ours/${EVENT}`, 'instances/ours/options']) {
    mkdirSync(join(place, directory), { recursive: true })
  }
  writeFileSync(join(instance, 'tracing_on'), '')
  writeFileSync(
    join(instance, EVENT, 'format'),
    readFixture('linux-6.18/inet_sock_set_state.format'),
  )
  writeFileSync(join(instance, 'events/header_page'), readFixture('linux-6.18/header_page'))
  for (const cpu of [0, 1]) {
    mkdirSync(join(instance, `per_cpu/cpu${cpu}`), { recursive: true })
    fillRing(cpu, [])
  }
  recorder = undefined
})
afterEach(() => {
  recorder?.close()
  rmSync(place, { recursive: true })
})

function fillRing(cpu: number, pages: readonly Uint8Array[], gone = 0): void {
  appendFileSync(join(instance, `per_cpu/cpu${cpu}/trace_pipe_raw`), Buffer.concat(pages))
  writeFileSync(join(instance, `per_cpu/cpu${cpu}/stats`), `overrun: ${gone}\nread events: 0\n`)
}

function open(): Recorder {
  recorder = openRecorder({ places: [place], name: 'ours' })
  return recorder
}

const failure = (pid: number, remotePort = 443): PlannedEvent => ({
  kind: 'failure',
  pid,
  remotePort,
  local: [0xfd00_0000, 0, 0, 5],
  remote: [0, 0, 0xffff, 0x0a00_0009],
})
const page = (...events: PlannedEvent[]) => buildRingPage(events, currentFormat)
const resolvers = {
  netnsOf: (pid: number) => (pid === 7 ? 'a' : undefined),
  ownerOf: (pid: number) => (pid === 7 ? 'shop.service' : undefined),
}

describe('openRecorder()', () => {
  onLinux('makes the ring small, sets the filter and switches the event on', () => {
    open()
    const read = (name: string) => readFileSync(join(instance, name), 'utf8')
    expect(read('buffer_size_kb')).toBe('64\n')
    expect(read(`${EVENT}/enable`)).toBe('1\n')
    expect(read(`${EVENT}/filter`)).toBe(renderFilter())
  })

  onLinux('refuses a format that lacks a field, and closes what it has opened', () => {
    writeFileSync(join(instance, EVENT, 'format'), readFixture('malformed/no-pid.format'))
    expect(open).toThrow(DecodeError)
  })

  onLinux('says that the kernel has no such event', () => {
    rmSync(join(place, 'events'), { recursive: true })
    expect(open).toThrow(SourceError)
    expect(open).toThrow('this kernel has no event sock:inet_sock_set_state')
  })
})

describe('read()', () => {
  onLinux('counts what is alike together, and asks once about each thread', () => {
    fillRing(0, [page(failure(7), failure(7), failure(8)), page(failure(7), failure(7, 80))], 5)
    const asked: number[] = []
    const { events, problem } = open().read({
      ...resolvers,
      netnsOf: (pid) => {
        asked.push(pid)
        return resolvers.netnsOf(pid)
      },
    })
    expect(problem).toBeUndefined()
    expect(asked).toEqual([7, 8])
    const shared = { cpu: 0, source: 'fd00::5' }
    const known = { netns: 'a', owner: 'shop.service' }
    const unknown = { netns: undefined, owner: undefined }
    expect(events).toEqual([
      { ...shared, ...known, destination: '10.0.0.9:443', count: 3 },
      { ...shared, ...unknown, destination: '10.0.0.9:443', count: 1 },
      { ...shared, ...known, destination: '10.0.0.9:80', count: 1 },
    ])
  })

  onLinux('counts threads that have ended together, whatever their number was', () => {
    fillRing(0, [page(failure(8), failure(9), failure(10))], 3)
    const { events } = open().read(resolvers)
    expect(events.map(({ netns, count }) => [netns, count])).toEqual([[undefined, 3]])
  })

  onLinux('names all rings at first, and then those in which something was', () => {
    const reader = open()
    expect(reader.read(resolvers).rings).toEqual([
      { cpu: 0, gone: 0, strangers: 0 },
      { cpu: 1, gone: 0, strangers: 0 },
    ])
    expect(reader.read(resolvers)).toEqual({ rings: [], events: [], problem: undefined })
    fillRing(1, [page(failure(7), { kind: 'stranger', words: 4 })], 2)
    expect(reader.read(resolvers).rings).toEqual([{ cpu: 1, gone: 2, strangers: 1 }])
  })

  onLinux('goes on after a page that says nothing, and tells of it', () => {
    const broken = Buffer.alloc(PAGE_BYTES)
    broken.writeUInt32LE(60_000, currentFormat.layout.commitAt)
    fillRing(0, [broken, page(failure(7))], 3)
    fillRing(1, [page(failure(7))], 1)
    const { rings, events, problem } = open().read(resolvers)
    expect(problem).toContain('claims 60000 bytes of data')
    expect(events.map(({ cpu, count }) => [cpu, count])).toEqual([
      [0, 1],
      [1, 1],
    ])
    expect(rings.map(({ gone }) => gone)).toEqual([3, 1])
  })

  onLinux('leaves the rest of a storm to the next reading', () => {
    fillRing(
      0,
      Array.from({ length: 30 }, () => page(failure(7))),
    )
    const reader = open()
    expect(reader.read(resolvers).events[0]?.count).toBe(24)
    expect(reader.read(resolvers).events[0]?.count).toBe(6)
  })

  onLinux('counts every failure of a namespace after three rings full of those of another', () => {
    for (const cpu of [2, 3]) mkdirSync(join(instance, `per_cpu/cpu${cpu}`), { recursive: true })
    for (const cpu of [0, 1, 2]) {
      const pages = Array.from({ length: 20 }, (_, at) =>
        page(...Array.from({ length: 40 }, (_, port) => failure(7, 1000 + at * 40 + port))),
      )
      fillRing(cpu, pages, 800)
    }
    fillRing(3, [page(...Array.from({ length: 40 }, () => failure(9)))], 40)
    const netnsOf = (pid: number) => (pid === 7 ? 'a' : 'victim')
    const reading = open().read({ ...resolvers, netnsOf })
    expect(reading.events.length).toBeLessThan(2010)

    const present = ['a', 'victim']
    const idle = { rings: [], events: [], problem: undefined }
    const ledger = [idle, reading, idle].reduce<FailureLedger>((before, one, atSeconds) => {
      const input = { atSeconds, holdSeconds: 0, reading: one, present, published: present }
      return advanceLedger(before, input)
    }, emptyLedger)
    expect(renderFailures(ledger, 'a')?.pools[0]?.total).toBe(2400)
    expect(renderFailures(ledger, 'victim')).toMatchObject({
      pools: [{ total: 40 }],
      destinations: [{ destination: '10.0.0.9:443', total: 40 }],
    })
  })

  onLinux('refuses stats without a count', () => {
    const reader = open()
    writeFileSync(join(instance, 'per_cpu/cpu0/stats'), 'entries: 0\n')
    expect(() => reader.read(resolvers)).toThrow('no count of "overrun"')
  })
})
