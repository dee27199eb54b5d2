// The walk over directories of an ordinary filesystem, with a clock that the tests move: 1 ms for each look at it.

import { mkdirSync, mkdtempSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readProcFile } from '../../src/kernel/proc-file.ts'
import { parseProcCgroup } from '../../src/owners/cgroup-path.ts'
import { type CgroupTreeOptions, createCgroupTree } from '../../src/owners/cgroup-tree.ts'

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cgroup-tree-'))
  writeFileSync(join(root, 'cgroup.controllers'), '')
})
afterEach(() => rmSync(root, { recursive: true }))

const make = (path: string) => {
  mkdirSync(root + path, { recursive: true })
  return statSync(root + path).ino
}

function createTree(options: Partial<CgroupTreeOptions> = {}, atEachLook?: (look: number) => void) {
  const clock = { ms: 0, looks: 0 }
  const monotonicMs = () => {
    atEachLook?.(++clock.looks)
    return clock.ms++
  }
  return { clock, tree: createCgroupTree({ root, monotonicMs, ...options }) }
}

/** No file of its own has it: inode numbers of the test's filesystem are handed out upwards. */
const NOBODY = 2 ** 52

describe('refresh()', () => {
  test('names every directory by its inode number', () => {
    const nginx = make('/system.slice/nginx.service')
    const deep = make('/a/b/c/d/e')
    const { tree } = createTree()
    expect(tree.resolve(nginx)).toBeUndefined()
    expect(tree.refresh([nginx])).toBe('complete')
    expect(tree.resolve(nginx)).toBe('/system.slice/nginx.service')
    expect(tree.resolve(deep)).toBe('/a/b/c/d/e')
    expect(tree.resolve(statSync(`${root}/a/b`).ino)).toBe('/a/b')
    expect(tree.resolve(statSync(root).ino)).toBe('/')
    expect(tree.resolve(statSync(`${root}/cgroup.controllers`).ino)).toBeUndefined()
  })

  test('names directories of any bytes as /proc/<pid>/cgroup is read, and what is in them', () => {
    const names = [
      Buffer.from('größe'),
      Buffer.from('\u2028\u009b\r日本'),
      Buffer.from('caf\xe9 \xff', 'latin1'),
    ]
    for (const name of names) {
      const { tree } = createTree()
      const path = Buffer.concat([Buffer.from(`${root}/`), name])
      const inside = Buffer.concat([path, Buffer.from('/in')])
      mkdirSync(inside, { recursive: true })
      const told = `/${name.toString()}`
      tree.refresh([statSync(path).ino, statSync(inside).ino])
      expect(tree.resolve(statSync(path).ino)).toBe(told)
      expect(tree.resolve(statSync(inside).ino)).toBe(`${told}/in`)
      writeFileSync(`${root}/cgroup`, Buffer.concat([Buffer.from('0::/'), name, Buffer.from('\n')]))
      expect(parseProcCgroup(readProcFile(`${root}/cgroup`) ?? '')).toBe(told)
    }
  })

  test('walks only for ids that it has never looked for', () => {
    const a = make('/a')
    const { tree, clock } = createTree()
    expect(tree.refresh([])).toBe('idle')
    expect(tree.refresh([0, 1])).toBe('idle')
    expect(tree.refresh([a, NOBODY])).toBe('complete')
    clock.ms += 1e6
    expect(tree.refresh([a, NOBODY, 0, 1])).toBe('idle')
    expect(tree.refresh([a, NOBODY + 1])).toBe('complete')
    expect(tree.resolve(NOBODY)).toBeUndefined()
    expect(tree.resolve(0)).toBeUndefined()
    expect(tree.resolve(1)).toBeUndefined()
  })

  test('leaves time between walks', () => {
    const { tree, clock } = createTree({ gapMs: 4_500 })
    expect(tree.refresh([NOBODY])).toBe('complete')
    clock.ms = 4_000
    const late = make('/late')
    expect(tree.refresh([late])).toBe('idle')
    expect(tree.resolve(late)).toBeUndefined()
    clock.ms = 4_600
    expect(tree.refresh([late])).toBe('complete')
    expect(tree.resolve(late)).toBe('/late')
  })

  test('leaves more time between walks that take longer', () => {
    for (let i = 0; i < 30; i++) make(`/d${i}`)
    const { tree, clock } = createTree({ gapMs: 0, sliceMs: 10 })
    while (tree.refresh([NOBODY]) === 'partial');
    const tookMs = clock.ms
    expect(tookMs).toBeGreaterThan(30)
    clock.ms = tookMs * 40
    expect(tree.refresh([NOBODY + 1])).toBe('idle')
    clock.ms = tookMs * 51
    expect(tree.refresh([NOBODY + 1])).toBe('partial')
  })

  test('walks in slices, each as long as allowed, until all is seen', () => {
    const ids = Array.from({ length: 50 }, (_, i) => make(`/p${i % 5}/d${i}`))
    const { tree } = createTree({ sliceMs: 10 })
    const outcomes = []
    do outcomes.push(tree.refresh(ids))
    while (outcomes.at(-1) === 'partial')
    // 56 directories, the root among them, ten a slice.
    expect(outcomes).toEqual([...Array(5).fill('partial'), 'complete'])
    expect(ids.map((id) => tree.resolve(id))).toEqual(ids.map((_, i) => `/p${i % 5}/d${i}`))
  })

  test('looks again for an id that first appeared while it walked', () => {
    for (let i = 0; i < 20; i++) make(`/d${i}`)
    const { tree, clock } = createTree({ sliceMs: 10, gapMs: 0 })
    expect(tree.refresh([NOBODY])).toBe('partial')
    // The directories of the root have been listed by now, and this one is not among them.
    const late = make('/late')
    expect(tree.refresh([NOBODY, late])).toBe('partial')
    expect(tree.refresh([NOBODY, late])).toBe('complete')
    expect(tree.resolve(late)).toBeUndefined()
    clock.ms += 1e6
    expect(tree.refresh([NOBODY, late])).toBe('partial')
    tree.refresh([])
    tree.refresh([])
    expect(tree.resolve(late)).toBe('/late')
  })

  test('stops at the limit, and says of how many ids it has not found the cgroup', () => {
    const ids = Array.from({ length: 50 }, (_, i) => make(`/d${i}`))
    const { tree } = createTree({ maxDirectories: 20 })
    expect(tree.refresh(ids)).toBe('limited')
    // The root is one of the twenty.
    expect(ids.filter((id) => tree.resolve(id) !== undefined)).toHaveLength(19)
    expect(tree.countUnreached()).toBe(31)
    tree.retain(new Set(ids.slice(0, 30)))
    expect(tree.countUnreached()).toBe(ids.slice(0, 30).filter((id) => !tree.resolve(id)).length)
    tree.retain(new Set())
    expect(tree.countUnreached()).toBe(0)
  })

  test('is complete where there are just as many directories as it may see', () => {
    for (let i = 0; i < 19; i++) make(`/d${i}`)
    const { tree } = createTree({ maxDirectories: 20 })
    expect(tree.refresh([NOBODY])).toBe('complete')
    expect(tree.countUnreached()).toBe(0)
  })

  test('looks again for what the limit left out, until it is found or known to be gone', () => {
    const ids = Array.from({ length: 50 }, (_, i) => make(`/d${i}`))
    const { tree, clock } = createTree({ maxDirectories: 20, gapMs: 4_500 })
    expect(tree.refresh([...ids, NOBODY])).toBe('limited')
    const [left = 0] = ids.filter((id) => tree.resolve(id) === undefined)
    expect(tree.refresh([left])).toBe('idle')
    clock.ms += 1e6
    expect(tree.refresh([left])).toBe('limited')
    expect(tree.resolve(left)).toBeUndefined()
    for (const [i, id] of ids.entries()) if (id !== left) rmdirSync(`${root}/d${i}`)
    clock.ms += 1e6
    expect(tree.refresh([left])).toBe('complete')
    expect(tree.resolve(left)).toBe(`/d${ids.indexOf(left)}`)
    expect(tree.countUnreached()).toBe(0)
    clock.ms += 1e6
    expect(tree.refresh([left, NOBODY])).toBe('idle')
  })

  // Wide, deep, in a chain, and in the first and the last place of a listing.
  test.each([
    { name: 'in one directory', paths: (i: number) => `/u.slice/evil/e${i}` },
    { name: 'in a chain', paths: (i: number) => `/u.slice/evil${'/e'.repeat(i)}` },
    { name: 'in many directories', paths: (i: number) => `/u.slice/e${i % 20}/f${i % 5}/g${i}` },
    { name: 'listed first', paths: (i: number) => `/0.slice/0${i}/0` },
    { name: 'listed last', paths: (i: number) => `/zz.slice/zz${i}/zz` },
  ])('finds everybody beside the cgroups that a tenant made $name', ({ paths }) => {
    const others = [
      '/init.scope',
      '/system.slice/db.service',
      '/system.slice/web.service/worker',
      '/kubepods.slice/kubepods-burstable.slice/pod1/container1',
      '/kubepods.slice/kubepods-burstable.slice/pod2/container2',
    ]
    const before = others.slice(0, 3).map(make)
    for (let i = 0; i < 150; i++) make(paths(i))
    const ids = [...before, ...others.slice(3).map(make)]
    const { tree } = createTree({ maxDirectories: 70 })
    expect(tree.refresh([...ids, NOBODY])).toBe('limited')
    expect(ids.map((id) => tree.resolve(id))).toEqual(others)
    expect(tree.countUnreached()).toBe(1)
  })

  test('shares what it may see among tenants, each of which makes more', () => {
    const ids = ['a', 'b', 'c', 'd'].map((tenant) => {
      make(`/t.slice/${tenant}`)
      return Array.from({ length: 60 }, (_, i) => make(`/t.slice/${tenant}/${i % 6}/c${i}`))
    })
    const { tree } = createTree({ maxDirectories: 102 })
    expect(tree.refresh(ids.flat())).toBe('limited')
    // The root, the slice and of each tenant 25: itself, six and 18 of the sixty.
    for (const those of ids) {
      expect(those.filter((id) => tree.resolve(id) !== undefined)).toHaveLength(18)
    }
  })

  test('survives directories that vanish while it walks', () => {
    const stay = Array.from({ length: 20 }, (_, i) => make(`/stay${i}/leaf`))
    for (let i = 0; i < 20; i++) make(`/go${i}/leaf`)
    const { tree } = createTree({}, (look) => {
      // Each time two directories, whether already seen, listed and not yet seen, or neither.
      const path = `${root}/go${look - 5}`
      if (look > 5 && look <= 24) rmSync(path, { recursive: true })
    })
    expect(tree.refresh([NOBODY])).toBe('complete')
    expect(stay.map((id) => tree.resolve(id))).toEqual(stay.map((_, i) => `/stay${i}/leaf`))
  })

  test('says what is wrong with a root that is none, and tries again later', () => {
    const { tree, clock } = createTree()
    rmSync(`${root}/cgroup.controllers`)
    expect(() => tree.refresh([NOBODY])).toThrow(
      expect.objectContaining({
        name: 'SourceError',
        reason: 'unsupported',
        message: expect.stringContaining(`Cannot read the cgroup v2 tree at "${root}"`),
      }),
    )
    writeFileSync(`${root}/cgroup.controllers`, '')
    const a = make('/a')
    expect(tree.refresh([a])).toBe('idle')
    clock.ms += 5_000
    expect(tree.refresh([a])).toBe('complete')
    expect(tree.resolve(a)).toBe('/a')
  })
})

describe('retain()', () => {
  test('keeps the name of a directory that is gone while somebody carries its id', () => {
    const gone = make('/gone')
    const there = make('/there')
    const { tree, clock } = createTree()
    tree.refresh([gone])
    rmdirSync(`${root}/gone`)
    tree.retain(new Set([gone]))
    clock.ms += 1e6
    expect(tree.refresh([gone, NOBODY])).toBe('complete')
    tree.retain(new Set([gone]))
    expect(tree.resolve(gone)).toBe('/gone')
    tree.retain(new Set())
    expect(tree.resolve(gone)).toBeUndefined()
    expect(tree.resolve(there)).toBe('/there')
  })

  test('keeps what a walk under way has not come to yet', () => {
    const ids = Array.from({ length: 30 }, (_, i) => make(`/d${i}`))
    const { tree, clock } = createTree({ sliceMs: 10 })
    while (tree.refresh([NOBODY]) === 'partial');
    clock.ms += 1e6
    expect(tree.refresh([NOBODY + 1])).toBe('partial')
    tree.retain(new Set())
    expect(ids.filter((id) => tree.resolve(id) === undefined)).toEqual([])
  })

  test('looks again for an id that nobody carried for a while', () => {
    const { tree, clock } = createTree()
    tree.refresh([NOBODY])
    clock.ms += 1e6
    tree.retain(new Set([NOBODY]))
    expect(tree.refresh([NOBODY])).toBe('idle')
    tree.retain(new Set())
    expect(tree.refresh([NOBODY])).toBe('complete')
  })
})
