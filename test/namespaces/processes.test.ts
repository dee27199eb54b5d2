import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createProcessScan } from '../../src/namespaces/processes.ts'
import { createFakeProcfs, type FakeProcfs } from '../support/kernel/fake-procfs.ts'

let procfs: FakeProcfs
beforeEach(() => {
  procfs = createFakeProcfs()
})
afterEach(() => procfs.remove())

describe('createProcessScan()', () => {
  test('looks at old processes in turn, and at young and watched ones always', () => {
    let now = 0
    const scan = createProcessScan({ procfs: procfs.path, monotonicSeconds: () => now, mostOld: 2 })
    const look = (watched: readonly number[] = []) => {
      now += 5
      const moved = scan(new Set(watched)).find(({ mark }) => mark.inode === procfs.inodeOf('b'))
      return moved?.pids ?? []
    }
    for (const pid of [1, 2, 3, 4, 5, 6]) procfs.start(pid, 'a')
    look()
    now += 60
    look()
    for (const pid of [1, 2, 3, 4, 5, 6]) procfs.move(pid, 'b')
    procfs.start(7, 'b')
    const found = [look([6]), look(), look(), look()]
    expect(found[0]).toContain(6)
    expect(found[0]).toContain(7)
    expect(found[0]).toHaveLength(4)
    expect(found.at(-1)).toEqual([1, 2, 3, 4, 5, 6, 7])
  })

  test('looks at once at those who were with a watched process that has ended', () => {
    let now = 0
    const scan = createProcessScan({ procfs: procfs.path, monotonicSeconds: () => now, mostOld: 1 })
    const look = () => {
      now += 5
      return scan(new Set([1])).map(({ pids }) => pids)
    }
    for (const pid of [1, 2, 3]) procfs.start(pid, 'a')
    for (const pid of [4, 5, 6]) procfs.start(pid, 'b')
    look()
    now += 60
    for (const pid of [2, 5, 6]) procfs.move(pid, 'c')
    procfs.end(1)
    const groups = look()
    expect(groups).toContainEqual([3])
    // Of the others only one had its turn.
    expect(groups.flat().filter((pid) => pid > 3)).toHaveLength(3)
    expect(groups).not.toContainEqual([2, 5, 6])
  })

  test('refuses a procfs that is not there', () => {
    const scan = createProcessScan({ procfs: '/nowhere', monotonicSeconds: () => 0 })
    expect(() => scan(new Set())).toThrow('Cannot list the processes of /nowhere')
  })
})
