// Which process an owner's ports are held by, in a made-up /proc. The size of its `fd` directories says how many descriptors
// there are, as from Linux 6.2 on, or nothing, as before: then they are listed, as often as there are files in them.

import { mkdirSync, mkdtempSync, opendirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createProgramFinder, readProgram, readRealUid } from '../../src/owners/programs.ts'

vi.mock('node:fs', async (importOriginal) => {
  const fs = await importOriginal<typeof import('node:fs')>()
  return { ...fs, statSync: vi.fn(fs.statSync), opendirSync: vi.fn(fs.opendirSync) }
})

/** Descriptors of a process, whether its directory tells that or not. */
const descriptors = new Map<string, number>()
let sizesTold = false
let procfs = ''
let listed = 0
let opened: string[] = []

beforeEach(async () => {
  const fs = await vi.importActual<typeof import('node:fs')>('node:fs')
  procfs = mkdtempSync(join(tmpdir(), 'programs-'))
  descriptors.clear()
  sizesTold = false
  listed = 0
  opened = []
  vi.mocked(statSync).mockImplementation(((path: string) => {
    const stats = fs.statSync(path)
    const count = descriptors.get(path)
    return count === undefined ? stats : Object.assign(stats, { size: sizesTold ? count : 0 })
  }) as typeof statSync)
  vi.mocked(opendirSync).mockImplementation(((path: string) => {
    let left = descriptors.get(path) ?? 0
    opened.push(path)
    return {
      readSync: () => (left-- > 0 ? { name: String(++listed) } : null),
      closeSync: () => opened.splice(opened.indexOf(path), 1),
    }
  }) as unknown as typeof opendirSync)
})
afterEach(() => {
  rmSync(procfs, { recursive: true })
  expect(opened).toEqual([])
})

function run(pid: number, unit: string, count: number): number {
  mkdirSync(`${procfs}/${pid}/fd`, { recursive: true })
  writeFileSync(`${procfs}/${pid}/cgroup`, `0::/system.slice/${unit}\n`)
  writeFileSync(`${procfs}/${pid}/comm`, `program-${pid}\n`)
  descriptors.set(`${procfs}/${pid}/fd`, count)
  return pid
}

const shareOf = (owner: string, ports: number) => ({ owner, ownerKind: 'unit', ports }) as const
const createFinder = () =>
  createProgramFinder({
    procfs,
    nameCgroup: (path) => ({ owner: path.split('/').at(-1) ?? '', ownerKind: 'unit' }),
    nameUser: (uid) => ({ owner: String(uid), ownerKind: 'user' }),
  })

describe.each([{ told: true }, { told: false }])('find(), sizes told: $told', ({ told }) => {
  beforeEach(() => {
    sizesTold = told
  })

  test('names the process of each owner that has the most descriptors', () => {
    const pids = [run(1, 'a', 9), run(2, 'b', 3_000), run(3, 'a', 2_000), run(4, 'b', 40)]
    expect(createFinder().find(pids, [shareOf('a', 2_500), shareOf('b', 2_500)])).toEqual([
      { owner: 'a', ownerKind: 'unit', pid: 3, program: 'program-3' },
      { owner: 'b', ownerKind: 'unit', pid: 2, program: 'program-2' },
    ])
  })

  test('names none where each has fewer descriptors than half of the ports', () => {
    const pids = [run(1, 'a', 1_249), run(2, 'a', 1_000)]
    expect(createFinder().find(pids, [shareOf('a', 2_500)])).toEqual([])
  })

  test('lists none where the owner has one process', () => {
    const found = createFinder().find([run(1, 'a', 1e9), run(2, 'b', 1)], [shareOf('a', 9_999)])
    expect(found).toEqual([{ owner: 'a', ownerKind: 'unit', pid: 1, program: 'program-1' }])
    expect(listed).toBe(0)
  })

  test('does not take the one process that it knows for the only one among 300', () => {
    const pids = [run(1, 'a', 5), ...Array.from({ length: 299 }, (_, i) => 2 + i)]
    const finder = createFinder()
    expect(finder.find(pids, [shareOf('a', 2_500)])).toEqual([])
    expect(finder.find(pids, [shareOf('a', 10)])).toMatchObject([{ pid: 1 }])
  })
})

describe('find() before Linux 6.2', () => {
  test('lists what it may in a sample, whatever there is, and as much in the next', () => {
    const pids = Array.from({ length: 40 }, (_, i) => run(1 + i, `u${i % 8}`, 524_288))
    const owners = Array.from({ length: 8 }, (_, i) => shareOf(`u${i}`, 20_000))
    const finder = createFinder()
    for (let namespace = 0; namespace < 3; namespace++) {
      expect(finder.find(pids, owners)).toEqual([])
    }
    expect(listed).toBeGreaterThan(100_000)
    expect(listed).toBeLessThan(140_000)
    const before = listed
    finder.renew()
    finder.find(pids, owners)
    expect(listed - before).toBeGreaterThan(100_000)
    expect(listed - before).toBeLessThan(140_000)
  })

  test('finds the process of an owner after another owner was too many to be counted', () => {
    const many = Array.from({ length: 4 }, (_, i) => run(100 + i, 'many', 524_288))
    const pids = [...many, run(1, 'a', 28_000), run(2, 'a', 100)]
    const found = createFinder().find(pids, [shareOf('many', 28_000), shareOf('a', 28_000)])
    expect(found).toEqual([{ owner: 'a', ownerKind: 'unit', pid: 1, program: 'program-1' }])
  })

  test('asks once for an owner that is behind several pools', () => {
    const pids = [run(1, 'a', 1_000), run(2, 'a', 100)]
    const finder = createFinder()
    expect(finder.find(pids, [shareOf('a', 500), shareOf('a', 1_500), shareOf('a', 700)])).toEqual([
      { owner: 'a', ownerKind: 'unit', pid: 1, program: 'program-1' },
    ])
    expect(listed).toBe(1_100)
    // The largest share counts.
    expect(finder.find(pids, [shareOf('a', 500), shareOf('a', 9_000)])).toEqual([])
  })
})

test('counts the descriptors of a real process, listed in pieces', async () => {
  const fs = await vi.importActual<typeof import('node:fs')>('node:fs')
  vi.mocked(opendirSync).mockImplementation(fs.opendirSync)
  vi.mocked(statSync).mockImplementation(((path: string) =>
    Object.assign(fs.statSync(path), { size: 0 })) as typeof statSync)
  const handles = Array.from({ length: 700 }, () => fs.openSync('/dev/null', 'r'))
  try {
    const finder = createProgramFinder({
      procfs: '/proc',
      nameCgroup: () => ({ owner: 'mine', ownerKind: 'unit' }),
      nameUser: () => ({ owner: 'root', ownerKind: 'user' }),
    })
    const found = finder.find([process.ppid, process.pid], [shareOf('mine', 1_400)])
    expect(found).toMatchObject([{ pid: process.pid }])
    expect(finder.find([process.ppid, process.pid], [shareOf('mine', 2_400)])).toEqual([])
  } finally {
    for (const handle of handles) fs.closeSync(handle)
  }
})

test('a program is called what its name says in UTF-8, and its user is not what its name says', () => {
  for (const name of ['größe', 'a\rUid:\t0', 'a\u2028Uid:\t0']) {
    mkdirSync(`${procfs}/7`, { recursive: true })
    writeFileSync(`${procfs}/7/comm`, `${name}\n`)
    writeFileSync(`${procfs}/7/status`, `Name:\t${name}\nUmask:\t0022\nUid:\t1000\t0\t0\t0\n`)
    expect(readProgram(procfs, 7)).toEqual({ pid: 7, program: name })
    expect(readRealUid(procfs, 7)).toBe(1000)
  }
})
