// System calls that answer as a test tells them, and note what they were asked.

import { type Libc, SystemError } from '../../src/kernel/libc.ts'
import { createFakeKernel } from '../support/kernel/fake-kernel.ts'

export interface FakeSockets extends Libc {
  readonly calls: readonly (readonly [name: string, ...values: unknown[]])[]
}

/** A call that is not in `refusals` succeeds. */
export function createFakeSockets(
  refusals: Partial<Record<'socket' | 'setsockopt' | 'bind' | 'connect', number>>,
): FakeSockets {
  const calls: [string, ...unknown[]][] = []
  const answer = (name: keyof typeof refusals, ...values: unknown[]) => {
    calls.push([name, ...values])
    const errno = refusals[name]
    if (errno !== undefined) throw new SystemError(name, errno)
  }
  return {
    ...createFakeKernel(),
    calls,
    socket: (domain, type, protocol) => {
      answer('socket', domain, type, protocol)
      return 3
    },
    setsockopt: (_fd, level, option, value) =>
      answer('setsockopt', level, option, Buffer.from(value).toString('hex')),
    bind: (_fd, address) => answer('bind', Buffer.from(address).toString('hex')),
    connect: (_fd, address) => answer('connect', Buffer.from(address).toString('hex')),
    close: (fd) => void calls.push(['close', fd]),
  }
}

export const ERRNO = {
  EPERM: 1,
  EAGAIN: 11,
  EMFILE: 24,
  ENOPROTOOPT: 92,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETUNREACH: 101,
  ECONNREFUSED: 111,
  EINPROGRESS: 115,
} as const
