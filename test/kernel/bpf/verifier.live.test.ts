// The listing that a person is shown against the kernel's own text of the program it was given, and what a refusal says.

import { expect, test } from 'vitest'
import { openBucketReader } from '../../../src/kernel/bpf/buckets.ts'
import { listBucketProgram } from '../../../src/kernel/bpf/listing.ts'
import { type BpfPointer, type Libc, openLibc } from '../../../src/kernel/libc.ts'
import { whyNoBuckets } from './permitted.ts'

const skipReason = await whyNoBuckets()
const LOAD = 5
/** Offsets in union bpf_attr. */
const ATTR = { instructions: 8, logLevel: 24, logBytes: 28, log: 32 } as const
const EVERY_INSTRUCTION = 2

/** The libc with `change` applied to what BPF_PROG_LOAD is given. */
function withLoad(
  libc: Libc,
  change: (view: DataView, pointers: readonly BpfPointer[]) => readonly BpfPointer[],
): Libc {
  return {
    ...libc,
    bpf: (command, attributes, pointers = []) => {
      const view = new DataView(attributes.buffer, attributes.byteOffset, attributes.byteLength)
      return libc.bpf(command, attributes, command === LOAD ? change(view, pointers) : pointers)
    },
  }
}

test('every instruction that is listed is the one the kernel verified', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  const log = new Uint8Array(1 << 18)
  const libc = withLoad(await openLibc(), (view, pointers) => {
    view.setUint32(ATTR.logLevel, EVERY_INSTRUCTION, true)
    view.setUint32(ATTR.logBytes, log.length, true)
    return [...pointers, [ATTR.log, log]]
  })
  openBucketReader(libc).close()
  const told = new Map<number, string>()
  for (const line of Buffer.from(log).toString('latin1').split('\n')) {
    const [, at, text] = /^(\d+): (\([0-9a-f]{2}\) [^;]*?) *(?:;.*)?$/.exec(line) ?? []
    if (at !== undefined && text !== undefined) told.set(Number(at), text)
  }
  const [head, ...lines] = listBucketProgram().trim().split('\n')
  expect(head).toMatch(/^; iter\/tcp, license "Dual MIT\/GPL"/)
  const listed = lines.map((line) => line.replace(/^\d+: /, '').replace(/ *;.*$/, ''))
  expect(listed).toEqual(listed.map((_, at) => told.get(at)))
})

test('the verifier refuses a read beyond what a field is, and is quoted', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  const libc = withLoad(await openLibc(), (_view, pointers) =>
    pointers.map(([at, bytes]) => {
      if (at !== ATTR.instructions) return [at, bytes]
      const changed = Uint8Array.from(bytes)
      const load = changed.findIndex((code, index) => index % 8 === 0 && code === 0x69)
      // The port of a bucket, from far beyond its end.
      new DataView(changed.buffer).setInt16(load + 2, 0x4000, true)
      return [at, changed]
    }),
  )
  expect(() => openBucketReader(libc)).toThrow(
    /^Cannot read bind buckets: cannot load the program: bpf: EACCES: .*access beyond struct inet_bind_bucket/,
  )
})
