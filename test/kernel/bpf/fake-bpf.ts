// A kernel that takes one program and walks as a test tells it; it notes what is open.

import { type BpfPointer, type Libc, SystemError } from '../../../src/kernel/libc.ts'
import { createFakeKernel } from '../../support/kernel/fake-kernel.ts'

export const ERRNO = { EPERM: 1, EINTR: 4, EAGAIN: 11, ENOMEM: 12, EACCES: 13, EINVAL: 22 } as const

/** What one read(2) gives: ports, an errno, or nothing at the end. */
export type Chunk = readonly number[] | { readonly errno: number }

export type Call = readonly [command: number, attributes: Buffer, pointers: readonly BpfPointer[]]

export interface FakeBpf extends Libc {
  readonly open: ReadonlySet<number>
  /** Commands in order, with the attributes of each and what they point to. */
  readonly calls: readonly Call[]
  /** Called for each command; throws as libc would. */
  refuse: ((command: number, attributes: Buffer, log: Uint8Array | undefined) => void) | undefined
  walks: (readonly Chunk[])[]
}

const LOG_AT = 32

export function createFakeBpf(): FakeBpf {
  const open = new Set<number>()
  const calls: Call[] = []
  let lastFd = 10
  const left = new Map<number, Chunk[]>()
  const fake: FakeBpf = {
    ...createFakeKernel(),
    open,
    calls,
    refuse: undefined,
    walks: [],
    bpf(command, attributes, pointers = []) {
      const bytes = Buffer.from(attributes)
      calls.push([command, bytes, pointers])
      const log = pointers.find(([offset]) => offset === LOG_AT)?.[1]
      fake.refuse?.(command, bytes, log)
      open.add(++lastFd)
      left.set(lastFd, [...(fake.walks[0] ?? [])])
      if (command === 33) fake.walks.shift()
      return lastFd
    },
    read(fd, buffer) {
      const chunk = left.get(fd)?.shift() ?? []
      if ('errno' in chunk) throw new SystemError('read', chunk.errno)
      const bytes = Buffer.from(Uint16Array.from(chunk).buffer)
      buffer.set(bytes)
      return bytes.length
    },
    close(fd) {
      if (!open.delete(fd)) throw new Error(`${fd} is not open`)
    },
  }
  return fake
}
