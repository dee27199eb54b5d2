import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createDiscovery } from '../../src/namespaces/discovery.ts'
import type { InsideView } from '../../src/namespaces/net-namespace.ts'
import { createFakeProcfs, type FakeProcfs } from '../support/kernel/fake-procfs.ts'

let procfs: FakeProcfs
let cookies: Record<string, bigint>
/** Where a process is when it is looked at from inside, where that is not namespace a. */
let insides: Record<string, string>
let now: number
beforeEach(() => {
  procfs = createFakeProcfs()
  cookies = {}
  insides = {}
  now = 0
})
afterEach(() => procfs.remove())

/** Looks again and again; gives namespaces but our own by the test's letter, with their ids. */
function watch({ foreign = false, beforeInside = (_pid: string): void => undefined } = {}) {
  const inspect = (path: string): InsideView | undefined => {
    const pid = /\/(\d+)\/ns\/net$/.exec(path)?.[1] ?? ''
    beforeInside(pid)
    const cookie = cookies[pid]
    const inode = procfs.inodeOf(insides[pid] ?? 'a')
    return cookie === undefined
      ? undefined
      : { inode, cookie, netInode: undefined, makerUid: undefined }
  }
  const discovery = createDiscovery({
    procfs: procfs.path,
    netnsDirectory: '/nowhere',
    foreign,
    monotonicSeconds: () => now,
    inspect,
  })
  const look = () => {
    now += 5
    return discovery.list().filter(({ own }) => !own)
  }
  return Object.assign(look, { forget: discovery.forget })
}
const idsOf = (places: readonly { readonly id: number }[]) => places.map(({ id }) => id)

describe('createDiscovery()', () => {
  test('finds each namespace once, with its processes', () => {
    for (const [pid, namespace] of [
      [7, 'a'],
      [8, 'b'],
      [9, 'a'],
    ] as const) {
      procfs.start(pid, namespace)
    }
    const look = watch()
    const places = look()
    expect(places.map(({ pids }) => pids)).toEqual([[7, 9], [8]])
    expect(places.map(({ inode }) => inode)).toEqual([procfs.inodeOf('a'), procfs.inodeOf('b')])
    expect(places[0]?.processAgeSeconds).toBe(990)
    expect(idsOf(look())).toEqual(idsOf(places))
  })

  test('knows our own even where no process of the procfs is in it', () => {
    const own = createDiscovery({
      procfs: procfs.path,
      netnsDirectory: '/nowhere',
      foreign: false,
      monotonicSeconds: () => now,
      inspect: () => undefined,
    }).list()
    expect(own).toMatchObject([{ own: true, pids: [] }])
  })

  test('drops a namespace with its last process and never takes its successor for it', () => {
    const look = watch()
    procfs.start(7, 'a', 10)
    const [before] = look()
    procfs.end(7)
    procfs.start(8, 'a', 1001) // the freed inode, given away again
    const [after] = look()
    expect(after?.inode).toBe(before?.inode)
    expect(after?.id).not.toBe(before?.id)
    procfs.end(8)
    expect(look()).toEqual([])
  })

  test('tells a successor with the very same pid by its start', () => {
    const look = watch()
    procfs.start(7, 'a', 10)
    const [before] = look()
    procfs.end(7)
    procfs.start(7, 'a', 1001)
    expect(look()[0]?.id).not.toBe(before?.id)
  })

  test('knows a namespace again by any process that was in it', () => {
    const look = watch()
    procfs.start(7, 'a', 10)
    procfs.start(8, 'a', 20)
    const [before] = look()
    procfs.end(7)
    procfs.start(9, 'a', 1001)
    const [after] = look()
    expect(after).toMatchObject({ id: before?.id, pids: [8, 9] })
  })

  test('knows a namespace by its cookie when all its processes are new', () => {
    const look = watch()
    procfs.start(7, 'a', 10)
    cookies = { 7: 1n, 8: 1n, 9: 2n }
    const [before] = look()
    procfs.end(7)
    procfs.start(8, 'a', 1001)
    const [same] = look()
    expect(same?.id).toBe(before?.id)
    procfs.end(8)
    procfs.start(9, 'a', 1002)
    expect(look()[0]?.id).not.toBe(before?.id)
  })

  test('waits when a process is elsewhere by the time it is looked at from inside', () => {
    const look = watch()
    procfs.start(7, 'a', 10)
    cookies = { 7: 1n }
    insides = { 7: 'b' }
    expect(look()).toEqual([])
    insides = {}
    expect(look()).toMatchObject([{ inode: procfs.inodeOf('a'), cookie: 1n }])
  })

  test.each([
    ['ends', () => procfs.end(7)],
    ['moves on', () => procfs.move(7, 'b')],
  ])(
    'waits when a process %s before it is looked at from inside, and meets those that are left',
    (_, leave) => {
      procfs.start(7, 'a', 10)
      procfs.start(8, 'a', 20)
      cookies = { 8: 1n }
      let isThere = true
      const look = watch({
        beforeInside(pid) {
          if (isThere && pid === '7') leave()
          isThere = false
        },
      })
      expect(look()).toEqual([])
      expect(look()).toContainEqual(expect.objectContaining({ pids: [8], cookie: 1n }))
    },
  )

  test('shows one whose process may not be looked at from inside, but is there', () => {
    procfs.start(7, 'a', 10)
    expect(watch()()).toMatchObject([{ pids: [7], cookie: undefined }])
  })

  test('sees a process that moves into a namespace of its own', () => {
    const look = watch()
    procfs.start(7, 'a')
    procfs.start(8, 'a')
    look()
    procfs.move(8, 'b')
    expect(look().map(({ pids }) => pids)).toEqual([[7], [8]])
  })

  test('one that is another from inside gets an id of its own when it was told so', () => {
    const look = watch()
    procfs.start(7, 'a', 10)
    cookies = { 7: 1n }
    const [before] = look()
    // Its process has moved on twice, into a namespace that got the freed inode.
    cookies = { 7: 2n }
    expect(idsOf(look())).toEqual([before?.id])
    look.forget(before?.id ?? 0)
    const [after] = look()
    expect(after).toMatchObject({ inode: before?.inode, cookie: 2n, pids: [7] })
    expect(after?.id).not.toBe(before?.id)
    expect(idsOf(look())).toEqual([after?.id])
  })

  test('goes by the oldest process, which need not have the lowest pid', () => {
    const look = watch()
    procfs.start(7, 'a', 300)
    procfs.start(8, 'a', 100)
    procfs.start(9, 'a', 200)
    expect(look()).toMatchObject([{ pids: [8, 7, 9], bornSeconds: 100 }])
  })

  test('PID 1 of a procfs that is not ours stands for the host', () => {
    procfs.start(1, 'a')
    procfs.start(7, 'b')
    expect(watch({ foreign: true })().map(({ ofInit }) => ofInit)).toEqual([true, false])
    expect(watch()().map(({ ofInit }) => ofInit)).toEqual([false, false])
  })

  test('survives processes that end while they are looked at, and things that are none', () => {
    const look = watch()
    procfs.start(7, 'a')
    procfs.start(8, 'b')
    procfs.end(8)
    expect(look().map(({ pids }) => pids)).toEqual([[7]])
  })
})
