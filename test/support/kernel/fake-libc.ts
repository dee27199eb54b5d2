// A kernel at the system call whose netlink sockets all answer with the same datagrams, and which notes what is asked.

import { type Libc, SystemError } from '../../../src/kernel/libc.ts'
import { createFakeKernel } from './fake-kernel.ts'

export interface FakeLibc extends Libc {
  /** Descriptors that are open. */
  readonly open: ReadonlySet<number>
  /** Domain, type and protocol of each socket that was made. */
  readonly made: readonly (readonly number[])[]
  readonly requests: readonly Uint8Array[]
}

/** Datagrams that have run out are a time-out, as they are of the real one. */
export function createFakeLibc(datagrams: readonly (readonly number[])[]): FakeLibc {
  const open = new Set<number>()
  const made: number[][] = []
  const requests: Uint8Array[] = []
  let pending: (readonly number[])[] = []
  return {
    ...createFakeKernel(),
    open,
    made,
    requests,
    socket: (...how) => {
      const fd = 8 + made.push(how)
      open.add(fd)
      return fd
    },
    setsockopt: () => {},
    send: (_fd, request) => {
      requests.push(request)
      pending = [...datagrams]
    },
    recv: (_fd, buffer) => {
      const next = pending.shift()
      if (next === undefined) throw new SystemError('recv', 11)
      buffer.set(next)
      return next.length
    },
    close: (fd) => void open.delete(fd),
  }
}
