import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { openRecorder } from '../../src/failures/recorder.ts'
import type { Resolvers } from '../../src/failures/tally.ts'
import type { NetNamespace } from '../../src/namespaces/net-namespace.ts'
import { DecodeError, SourceError } from '../../src/observation.ts'
import { ELSEWHERE } from '../../src/sample.ts'
import { createFailureWatch } from '../../src/worker/failure-watch.ts'
import { startWatching, type Watched } from '../../src/worker/watched.ts'
import { buildReading } from '../failures/readings.ts'
import { buildNetNamespace } from '../support/netns/net-namespace.ts'

vi.mock(import('../../src/failures/recorder.ts'), () => ({ openRecorder: vi.fn() }))

const open = vi.mocked(openRecorder)
const read = vi.fn()
let procfs: string
let now: number

/** A procfs of the initial PID namespace. */
beforeEach(() => {
  procfs = mkdtempSync(join(tmpdir(), 'procfs-'))
  now = 1000
  writeProcess(2, 'elsewhere')
  writeFileSync(join(procfs, '2/comm'), 'kthreadd\n')
  writeFileSync(join(procfs, '2/stat'), '2 (kthreadd) S 0 0 0 0 -1 2129984 0 0')
  read.mockReset().mockReturnValue(buildReading([]))
  open.mockReset().mockReturnValue({ instancePath: '/ours', read, close: () => {} })
})
afterEach(() => rmSync(procfs, { recursive: true }))

/** A process, or a thread, in the namespace of that file. */
function writeProcess(pid: number, namespace: string, cgroup = '/init.scope'): void {
  mkdirSync(join(procfs, `${pid}/ns`), { recursive: true })
  const file = namespace.startsWith('/') ? namespace : join(procfs, namespace)
  if (file.startsWith(procfs)) writeFileSync(file, '')
  symlinkSync(file, join(procfs, `${pid}/ns/net`))
  writeFileSync(join(procfs, `${pid}/cgroup`), `0::${cgroup}\n`)
}

const inodeOf = (namespace: string) => statSync(join(procfs, namespace)).ino

function watch(part: Partial<NetNamespace>, netns?: string): Watched {
  const namespace = buildNetNamespace({ id: 0, bornSeconds: 12, ...part })
  const name = netns === undefined ? undefined : ({ netns, netnsKind: 'inode' } as const)
  const watched = startWatching(namespace, 0)
  watched.identity.name = name
  return watched
}

function createWatch(everyNamespace = true, tracefs?: string, asked = false) {
  return createFailureWatch({
    name: 'ours',
    asked,
    tracefs,
    procfs,
    everyNamespace,
    monotonicSeconds: () => now,
    nameProcess: (pid, path) => (path === '/' ? `user of ${pid}` : `owner of ${path}`),
  })
}

/** What the recorder would be told of that thread. */
function resolve(pid: number): [string | undefined, string | undefined] {
  const resolvers: Resolvers = read.mock.lastCall?.[0]
  return [resolvers.netnsOf(pid), resolvers.ownerOf(pid)]
}

describe('read()', () => {
  test('opens the recorder of that name once, in the place it is told', () => {
    const { read: take } = createWatch(true, '/mnt/tracing')
    const recorded = [take([]), take([])]
    expect(open.mock.calls).toEqual([[{ places: ['/mnt/tracing'], name: 'ours' }]])
    expect(recorded[1]).toEqual({
      instancePath: '/ours',
      reading: buildReading([]),
      present: [],
      named: [],
    })
    createWatch().read([])
    expect(open.mock.lastCall).toEqual([{ places: undefined, name: 'ours' }])
  })

  test('gives keys that mean the same to the next worker, whatever the id', () => {
    const spaces = (id: number) => [
      watch({ id, own: true, cookie: 1n }, 'host'),
      watch({ id: id + 1, cookie: 77n, inode: 4 }, 'inode/4'),
      watch({ id: id + 2, inode: 5 }),
      watch({ id: id + 3, netInode: 6 }),
    ]
    const [first, second] = [0, 10].map((id) => createWatch().read(spaces(id)))
    expect(first?.present).toEqual(['own', 'cookie/77', 'inode/5 12', 'inode/6 12'])
    expect(first?.named).toEqual([
      ['own', 'host'],
      ['cookie/77', 'inode/4'],
    ])
    expect(second).toEqual(first)
  })

  test('says where a thread is and whose it is, while it lives', () => {
    writeProcess(7, 'there', '/system.slice/shop.service')
    writeProcess(8, 'unseen')
    createWatch().read([watch({ inode: inodeOf('there'), cookie: 3n })])
    expect(resolve(7)).toEqual(['cookie/3', 'owner of /system.slice/shop.service'])
    expect(resolve(8)).toEqual([undefined, 'owner of /init.scope'])
    writeProcess(10, 'unseen-too', '/')
    expect(resolve(10)).toEqual([undefined, 'user of 10'])
    expect(resolve(9)).toEqual([undefined, undefined])
  })

  test('knows that a namespace is none of ours when only one is watched', () => {
    writeProcess(7, 'there')
    createWatch(false).read([watch({ own: true })])
    expect(resolve(7)[0]).toBe(ELSEWHERE)
    expect(resolve(9)[0]).toBeUndefined()
  })

  test.runIf(process.platform === 'linux')('knows its own namespace by looking', () => {
    writeProcess(7, '/proc/self/ns/net')
    // Its inode is not told.
    createWatch().read([watch({ own: true })])
    expect(resolve(7)[0]).toBe('own')
  })

  test('asks no procfs that counts otherwise than the kernel', () => {
    writeProcess(7, 'there', '/system.slice/shop.service')
    writeFileSync(join(procfs, '2/comm'), 'sleep\n')
    createWatch().read([watch({ inode: inodeOf('there') })])
    expect(resolve(7)).toEqual([undefined, undefined])
  })

  test.each(['unsupported', 'permission'] as const)(
    'is absent where it is not possible (%s) and nobody asked, until it is',
    (reason) => {
      open.mockImplementation(() => {
        throw new SourceError(reason, 'no tracefs; mount it')
      })
      const { read: take, collector, absence } = createWatch()
      for (now of [1000, 1001, 1059]) {
        expect(take([])).toBeUndefined()
        expect(collector()).toBeUndefined()
        expect(absence()).toBe('no tracefs; mount it')
      }
      expect(open).toHaveBeenCalledOnce()
      open.mockReset().mockReturnValue({ instancePath: '/ours', read, close: () => {} })
      now = 1060
      expect(take([])).toMatchObject({ instancePath: '/ours' })
      expect(collector()).toMatchObject({ success: true, problem: undefined })
      expect(absence()).toBeUndefined()
    },
  )

  test.each([new SourceError('exhausted', 'no memory'), new DecodeError('garbled', 0)])(
    'fails where it is possible and does not work: %s',
    (error) => {
      open.mockImplementation(() => {
        throw error
      })
      const { read: take, collector, absence } = createWatch()
      take([])
      expect(collector()).toMatchObject({ success: false, problem: error.message })
      expect(absence()).toBeUndefined()
    },
  )

  test('that was asked for fails, and tries again after a minute', () => {
    open.mockImplementation(() => {
      throw new SourceError('unsupported', 'no tracefs; mount it')
    })
    const { read: take, collector, absence } = createWatch(true, undefined, true)
    for (now of [1000, 1001, 1059]) {
      expect(take([])).toBeUndefined()
      expect(collector()).toMatchObject({ success: false, problem: 'no tracefs; mount it' })
    }
    expect(open).toHaveBeenCalledOnce()
    expect(absence()).toBeUndefined()
    open.mockReset().mockReturnValue({ instancePath: '/ours', read, close: () => {} })
    now = 1060
    expect(take([])).toMatchObject({ instancePath: '/ours' })
    expect(collector()).toMatchObject({ success: true, problem: undefined })
  })

  test.each([new SourceError('permission', 'refused'), new DecodeError('garbled', 0)])(
    'survives a reading that fails: %s',
    (error) => {
      const { read: take, collector } = createWatch()
      read.mockImplementationOnce(() => {
        throw error
      })
      expect(take([])).toEqual({
        instancePath: '/ours',
        reading: undefined,
        present: [],
        named: [],
      })
      expect(collector()).toMatchObject({ success: false, problem: error.message })
      expect(take([])?.reading).toBeDefined()
      expect(collector()).toMatchObject({
        collector: 'failures',
        success: true,
        problem: undefined,
      })
    },
  )

  test('uses a reading of which a part could not be decoded, and says so', () => {
    read.mockReturnValue({ ...buildReading([]), problem: 'a page was garbled' })
    const { read: take, collector } = createWatch()
    expect(take([])?.reading).toBeDefined()
    expect(collector()).toMatchObject({ success: false, problem: 'a page was garbled' })
  })

  test('does not take a fault of our own for a refusal', () => {
    read.mockImplementation(() => {
      throw new TypeError('a bug')
    })
    expect(() => createWatch().read([])).toThrow('a bug')
  })
})

test('collector() tells how long the last reading took', () => {
  const { read: take, collector } = createWatch()
  read.mockImplementation(() => {
    now += 2
    return buildReading([])
  })
  take([])
  expect(collector()?.durationSeconds).toBe(2)
})
