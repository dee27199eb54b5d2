// The collector buckets: when it walks, what it tells of ports in doubt, and what it says where it may not.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { SystemError } from '../../src/kernel/libc.ts'
import { createBucketWatch } from '../../src/worker/bucket-watch.ts'
import { buildBtf, programTypes } from '../kernel/bpf/btf-builder.ts'
import { createFakeBpf, ERRNO, type FakeBpf } from '../kernel/bpf/fake-bpf.ts'

const directory = mkdtempSync(join(tmpdir(), 'btf-'))
const vmlinux = join(directory, 'vmlinux')
writeFileSync(vmlinux, buildBtf(programTypes))
afterAll(() => rmSync(directory, { recursive: true }))

/** What the program reads, each with the types of a kernel that lacks it. */
const lacking = programTypes.flatMap((type, at) =>
  (type.members ?? []).map(({ name }) => {
    // NB: the type stays, since others are known by their number.
    const members = type.members?.filter((one) => one.name !== name) ?? []
    const types = programTypes.with(at, { ...type, members })
    return [`${type.name}.${name}`, types] as const
  }),
)

interface Setup {
  readonly btf?: string
  readonly asked?: boolean
  readonly libc?: FakeBpf | undefined
}

function createWatch({ asked = false, libc = createFakeBpf(), btf = vmlinux }: Setup = {}) {
  let now = 100
  const monotonicSeconds = () => now++
  const watch = createBucketWatch({ libc, btf, asked, monotonicSeconds, detailMinUtilization: 0.2 })
  return { watch, libc, walks: () => libc.calls.filter(([command]) => command === 33).length }
}

const forbidden = (): FakeBpf => ({
  ...createFakeBpf(),
  bpf: () => {
    throw new SystemError('bpf', ERRNO.EPERM)
  },
})
const doubt = {
  ...{ ambiguous: [40_001, 40_002], unseen: [], capacityPorts: 100, unusedPorts: 50 },
  marks: () => new Map(),
}

describe('resolve()', () => {
  test('tells of each port in doubt, and of no other', () => {
    const { watch, libc } = createWatch()
    libc.walks = [[[40_002, 40_003]]]
    expect([...(watch.resolve(doubt) ?? [])]).toEqual([
      [40_001, { closed: false, testedAtSeconds: 101 }],
      [40_002, { closed: true, testedAtSeconds: 101 }],
    ])
    expect(watch.collector()).toEqual({
      collector: 'buckets',
      success: true,
      durationSeconds: 2,
      problem: undefined,
    })
    expect(watch.collector()?.durationSeconds).toBe(0)
  })

  test.for([
    ['no port is in doubt', { ...doubt, ambiguous: [] }, 0],
    ['more than four ports of five have no socket', { ...doubt, unusedPorts: 81 }, 0],
    ['a fifth of the ports has sockets', { ...doubt, unusedPorts: 80 }, 1],
    ['there is no port at all', { ...doubt, capacityPorts: 0, unusedPorts: 0 }, 0],
  ] as const)('walks only where it matters: %s', ([, asked, expected]) => {
    const { watch, walks } = createWatch()
    expect(watch.resolve(asked) === undefined).toBe(expected === 0)
    expect(walks()).toBe(expected)
  })

  test('a walk that fails leaves the doubt, is told once, and is tried again', () => {
    const { watch, libc } = createWatch()
    libc.walks = [[{ errno: ERRNO.ENOMEM }], [[40_001]]]
    expect(watch.resolve(doubt)).toBeUndefined()
    expect(watch.resolve(doubt)?.get(40_001)?.closed).toBe(true)
    expect(watch.collector()).toMatchObject({
      success: false,
      problem: 'Cannot read bind buckets: cannot walk the sockets: read: ENOMEM',
    })
    expect(watch.collector()).toMatchObject({ success: true, problem: undefined })
  })
})

describe('where it is not permitted', () => {
  test('it is absent if nobody asked for it, and the reason can be had', () => {
    const { watch } = createWatch({ libc: forbidden() })
    expect(watch.absence).toMatch(
      /^Cannot read bind buckets: cannot load the program: bpf: EPERM; /,
    )
    expect(watch.collector()).toBeUndefined()
    expect(watch.resolve(doubt)).toBeUndefined()
  })

  test('it is a problem, sample for sample the same, if somebody did', () => {
    const { watch } = createWatch({ libc: forbidden(), asked: true })
    expect(watch.absence).toBeUndefined()
    const rows = [watch.collector(), watch.collector()]
    expect(rows[0]).toMatchObject({ collector: 'buckets', success: false })
    expect(rows[0]?.problem).toMatch(/bpf: EPERM; /)
    expect(rows[1]).toEqual(rows[0])
  })

  test.for(lacking)('a kernel without %s is one reason, and nothing is loaded', ([what, types]) => {
    const changed = join(directory, what)
    writeFileSync(changed, buildBtf(types))
    const { watch, libc } = createWatch({ btf: changed })
    expect(watch.absence).toBe(`Cannot read bind buckets: the kernel has no ${what}`)
    expect([watch.collector(), watch.resolve(doubt), libc.calls]).toEqual([
      undefined,
      undefined,
      [],
    ])
    const { watch: asked } = createWatch({ btf: changed, asked: true })
    expect(asked.collector()).toMatchObject({ success: false, problem: watch.absence })
  })

  test('nor does it work with a source that asks nothing of the kernel', () => {
    const watch = createBucketWatch({
      libc: undefined,
      btf: vmlinux,
      asked: true,
      monotonicSeconds: () => 0,
      detailMinUtilization: 0,
    })
    expect(watch.collector()?.problem).toBe('Cannot read bind buckets: that needs --source=netlink')
    expect(watch.resolve(doubt)).toBeUndefined()
  })
})
