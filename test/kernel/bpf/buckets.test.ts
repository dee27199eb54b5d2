// The commands of bpf(2) byte by byte, what is closed when one of them fails, and the words of a refusal.

import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { assemble } from '../../../src/kernel/bpf/assembler.ts'
import { writeBucketProgram } from '../../../src/kernel/bpf/bucket-program.ts'
import { openBucketReader } from '../../../src/kernel/bpf/buckets.ts'
import { describeMissingRights, judgeRights } from '../../../src/kernel/bpf/rights.ts'
import { SystemError } from '../../../src/kernel/libc.ts'
import { SourceError } from '../../../src/observation.ts'
import { asNobody } from '../nobody.ts'
import { buildBtf, programTypes } from './btf-builder.ts'
import { type Call, createFakeBpf, ERRNO, type FakeBpf } from './fake-bpf.ts'

const directory = mkdtempSync(join(tmpdir(), 'btf-'))
const btf = join(directory, 'vmlinux')
writeFileSync(btf, buildBtf(programTypes))
afterAll(() => rmSync(directory, { recursive: true }))

let libc: FakeBpf
beforeEach(() => {
  libc = createFakeBpf()
})

const open = () => openBucketReader(libc, btf)
const closedPorts = (bits: Uint8Array) =>
  [...bits.entries()].filter(([, bit]) => bit === 1).map(([port]) => port)

function refuse(command: number, errno: number, words = ''): void {
  libc.refuse = (asked, _attributes, log) => {
    if (asked !== command) return
    log?.set(Buffer.from(words))
    throw new SystemError('bpf', errno)
  }
}

describe('openBucketReader()', () => {
  test('loads a tracing program for the iterator and links it, and keeps the link alone', () => {
    const reader = open()
    const [[load, program, pointers], [link, linked]] = libc.calls as [Call, Call]
    expect([load, link]).toEqual([5, 28])
    // union bpf_attr: program type, instructions, attach type, BTF id of the function.
    expect([program.readUInt32LE(0), program.readUInt32LE(4)]).toEqual([26, 31])
    expect([program.readUInt32LE(68), program.readUInt32LE(108)]).toEqual([28, 2])
    expect(program.toString('latin1', 48, 64)).toBe('ephemeral_port\0\0')
    expect(
      pointers.map(([offset, bytes]) => [offset, Buffer.from(bytes).toString('latin1')]),
    ).toEqual([
      [
        8,
        Buffer.from(assemble(writeBucketProgram(buildBtf(programTypes)).lines)).toString('latin1'),
      ],
      [16, 'Dual MIT/GPL\0'],
    ])
    // Nobody reads a log of success.
    expect([program.readUInt32LE(24), program.readUInt32LE(28)]).toEqual([0, 0])
    expect([linked.readUInt32LE(0), linked.readUInt32LE(8)]).toEqual([11, 28])
    expect([...libc.open]).toEqual([12])
    reader.close()
    expect([...libc.open]).toEqual([])
  })

  test.for([
    [5, 'EPERM', 'permission', 'cannot load the program: bpf: EPERM'],
    [28, 'ENOMEM', 'exhausted', 'cannot make an iterator of the program: bpf: ENOMEM'],
  ] as const)('a refused command %i leaves nothing open', ([command, code, reason, message]) => {
    refuse(command, ERRNO[code])
    expect(open).toThrow(new SourceError(reason, `Cannot read bind buckets: ${message}`))
    expect([...libc.open]).toEqual([])
  })

  test('says what the verifier had to say last', () => {
    refuse(5, ERRNO.EINVAL, 'much\nbefore\n7: (79) r8 = *(u64 *)(r0 +1)\nmisaligned\nthe end\n')
    expect(open).toThrow(/EINVAL: 7: \(79\) r8 = \*\(u64 \*\)\(r0 \+1\); misaligned; the end$/)
    // Once more, with a log.
    expect(libc.calls.map(([, attributes]) => attributes.readUInt32LE(24))).toEqual([0, 1])
    expect(libc.calls.map(([, attributes]) => attributes.readUInt32LE(28))).toEqual([0, 65_536])
    expect(libc.calls[1]?.[2].map(([offset]) => offset)).toEqual([8, 16, 32])
  })

  test('EACCES without a word of the verifier is that of a security module', () => {
    refuse(5, ERRNO.EACCES)
    expect(open).toThrow(expect.objectContaining({ reason: 'permission' }))
    refuse(5, ERRNO.EACCES, 'access beyond the end')
    expect(open).toThrow(
      expect.objectContaining({
        reason: 'unsupported',
        cause: expect.objectContaining({ reason: 'permission', cause: expect.any(SystemError) }),
      }),
    )
  })

  test('a load that works with a log leaves the first refusal as it was, and nothing open', () => {
    let loads = 0
    libc.refuse = () => {
      if (++loads === 1) throw new SystemError('bpf', ERRNO.EINVAL)
    }
    expect(open).toThrow(/cannot load the program: bpf: EINVAL$/)
    expect([loads, ...libc.open]).toEqual([2])
  })

  test('whoever may not load is not asked twice', () => {
    refuse(5, ERRNO.EPERM)
    expect(open).toThrow(SourceError)
    expect(libc.calls).toHaveLength(1)
  })

  test('a kernel without BTF is one of those where it does not work', () => {
    const absent = () => openBucketReader(libc, join(directory, 'none'))
    expect(absent).toThrow(/^Cannot read the kernel's types from .*: ENOENT/)
    expect(absent).toThrow(expect.objectContaining({ reason: 'unsupported' }))
    expect(libc.calls).toEqual([])
  })
})

test('what describes the kernel is read up to 64 MiB', () => {
  const path = join(directory, 'other')
  writeFileSync(path, '')
  truncateSync(path, 64 * 1024 * 1024 + 1)
  expect(() => openBucketReader(libc, path)).toThrow(
    new SourceError('malformed', `Cannot read ${path}: it is longer than 64 MiB`),
  )
})

describe('readClosedPorts()', () => {
  test('reads to the end, through pauses and signals', () => {
    libc.walks = [
      [[40_001, 65_535], { errno: ERRNO.EAGAIN }, [0, 40_001], { errno: ERRNO.EINTR }, [7]],
      [[8]],
    ]
    const reader = open()
    expect(closedPorts(reader.readClosedPorts())).toEqual([0, 7, 40_001, 65_535])
    expect(closedPorts(reader.readClosedPorts())).toEqual([8])
    expect([...libc.open]).toEqual([12])
    const walks = libc.calls.slice(2).map(([command, bytes]) => [command, bytes.readUInt32LE(0)])
    expect(walks).toEqual([
      [33, 12],
      [33, 12],
    ])
  })

  test('a walk that fails is closed, and the next one works', () => {
    libc.walks = [[[1], { errno: ERRNO.ENOMEM }], [[2]]]
    const reader = open()
    expect(() => reader.readClosedPorts()).toThrow(
      new SourceError(
        'exhausted',
        'Cannot read bind buckets: cannot walk the sockets: read: ENOMEM',
      ),
    )
    expect([...libc.open]).toEqual([12])
    expect(closedPorts(reader.readClosedPorts())).toEqual([2])
  })

  test('a walk that may not begin says so', () => {
    const reader = open()
    refuse(33, ERRNO.ENOMEM)
    expect(() => reader.readClosedPorts()).toThrow(
      new SourceError('exhausted', 'Cannot read bind buckets: cannot begin a walk: bpf: ENOMEM'),
    )
  })

  test('what is no refusal of the kernel passes as it is, and the walk is closed', () => {
    libc.read = () => {
      throw new RangeError('a bug')
    }
    expect(() => open().readClosedPorts()).toThrow(new RangeError('a bug'))
    expect([...libc.open]).toEqual([12])
  })

  test('a walk without an end is given up', () => {
    libc.read = () => {
      throw new SystemError('read', ERRNO.EAGAIN)
    }
    const reader = open()
    expect(() => reader.readClosedPorts()).toThrow(
      new SourceError('timeout', 'Cannot read bind buckets: the walk does not end'),
    )
    expect([...libc.open]).toEqual([12])
  })
})

test.runIf(process.platform === 'linux')(
  'describeMissingRights() reads those of the thread',
  () => {
    expect(asNobody(describeMissingRights)).toBe('; CAP_BPF and CAP_PERFMON are missing')
  },
)

describe('judgeRights()', () => {
  const bit = (number: number) => 1n << BigInt(number)
  test.for([
    [0n, '; CAP_BPF and CAP_PERFMON are missing'],
    [bit(39), '; CAP_PERFMON is missing'],
    [bit(38) | bit(0), '; CAP_BPF is missing'],
    [
      bit(38) | bit(39),
      '; the capabilities are there: a seccomp profile, a user namespace or lockdown forbids it',
    ],
    [
      bit(21),
      '; the capabilities are there: a seccomp profile, a user namespace or lockdown forbids it',
    ],
  ] as const)('%i', ([effective, words]) => expect(judgeRights(effective)).toBe(words))
})
