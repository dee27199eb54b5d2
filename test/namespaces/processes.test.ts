import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createProcessScan } from '../../src/namespaces/processes.ts'
import { createFakeProcfs, type FakeProcfs } from '../support/fake-procfs.ts'

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

  test('refuses a procfs that is not there', () => {
    const scan = createProcessScan({ procfs: '/nowhere', monotonicSeconds: () => 0 })
    expect(() => scan(new Set())).toThrow('Cannot list the processes of /nowhere')
  })
})
