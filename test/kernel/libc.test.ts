import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { describe, expect, test } from 'vitest'
import { type Libc, openLibc, SystemError } from '../../src/kernel/libc.ts'
import { constant } from '../support/layout.ts'

const AF_UNIX = 1
const [SOCK_STREAM, SOCK_DGRAM] = [1, 2]
const SOL_SOCKET = constant('SOL_SOCKET')
/** include/uapi/asm-generic/socket.h */
const [SO_TYPE, SO_ACCEPTCONN] = [3, 30]

describe.runIf(process.platform === 'linux')('openLibc()', () => {
  async function withSocket(
    use: (libc: Libc, fd: number) => void | Promise<void>,
    type = SOCK_DGRAM,
  ): Promise<void> {
    const libc = await openLibc()
    const fd = libc.socket(AF_UNIX, type, 0)
    try {
      await use(libc, fd)
    } finally {
      libc.close(fd)
    }
  }

  function setReceiveTimeout(libc: Libc, fd: number, microseconds: number): void {
    const timeval = new BigInt64Array([0n, BigInt(microseconds)])
    libc.setsockopt(fd, SOL_SOCKET, constant('SO_RCVTIMEO'), new Uint8Array(timeval.buffer))
  }

  /** struct sockaddr_un of a name that is in no directory and ends with the socket. */
  const abstract = Buffer.concat([Uint8Array.of(AF_UNIX, 0, 0), randomBytes(8)])

  test('sends a datagram from one socket to another and tells its whole length', () =>
    withSocket(async (libc, to) => {
      libc.bind(to, abstract)
      await withSocket((_libc, from) => {
        libc.connect(from, abstract)
        libc.send(from, Uint8Array.of(1, 2, 3, 4, 5))
        libc.send(from, Uint8Array.of(6, 7))
        const buffer = new Uint8Array(3)
        expect(libc.recv(to, buffer)).toBe(5)
        expect([...buffer]).toEqual([1, 2, 3])
        expect(libc.recv(to, buffer)).toBe(2)
        expect([...buffer]).toEqual([6, 7, 3])
      })
    }))

  test('reads what an option says, in as many bytes as it has', () =>
    withSocket((libc, fd) => {
      expect([...libc.getsockopt(fd, SOL_SOCKET, SO_TYPE, 4)]).toEqual([SOCK_DGRAM, 0, 0, 0])
      expect([...libc.getsockopt(fd, SOL_SOCKET, SO_TYPE, 8)]).toEqual([SOCK_DGRAM, 0, 0, 0])
    }))

  test('makes a socket listen', () =>
    withSocket((libc, fd) => {
      libc.bind(fd, abstract)
      expect(libc.getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, 4)[0]).toBe(0)
      libc.listen(fd, 1)
      expect(libc.getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, 4)[0]).toBe(1)
    }, SOCK_STREAM))

  test('opens sockets that a program started from here does not get', () =>
    withSocket((_libc, fd) => {
      const [, flags = ''] =
        /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')) ?? []
      expect(Number.parseInt(flags, 8) & constant('SOCK_CLOEXEC')).not.toBe(0)
    }))

  test('throws what the kernel refuses', () =>
    withSocket(async (libc, fd) => {
      const refused = (op: string, code: string, call: () => unknown) => {
        expect(call, op).toThrow(expect.objectContaining({ name: 'SystemError', op, code }))
      }
      libc.bind(fd, abstract)
      await withSocket((_libc, other) =>
        refused('bind', 'EADDRINUSE', () => libc.bind(other, abstract)),
      )
      refused('listen', 'ENOTSUP', () => libc.listen(fd, 1))
      refused('connect', 'ECONNREFUSED', () => libc.connect(fd, Uint8Array.of(1, 0, 0, 1)))
      refused('send', 'ENOTCONN', () => libc.send(fd, Uint8Array.of(1)))
      refused('setsockopt', 'ENOPROTOOPT', () => libc.setsockopt(fd, 1, 9999, new Uint8Array(4)))
      refused('getsockopt', 'ENOPROTOOPT', () => libc.getsockopt(fd, 1, 9999, 4))
      refused('socket', 'EAFNOSUPPORT', () => libc.socket(255, SOCK_DGRAM, 0))
      refused('setns', 'EINVAL', () => libc.setns(fd))
      refused('close', 'EBADF', () => libc.close(-1))
      refused('recv', 'EBADF', () => libc.recv(-1, new Uint8Array(1)))
    }))

  /** Has the kernel send one SIGALRM to this process; struct itimerval is the interval and the time to the first. */
  function setAlarm(microseconds: number): void {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
    const setitimer = koffi.load(null).func('int setitimer(int, const void *, void *)')
    expect(setitimer(0, new BigInt64Array([0n, 0n, 0n, BigInt(microseconds)]), null)).toBe(0)
  }

  test('recv() goes on waiting after a signal, until its time-out', async () => {
    let signals = 0
    const onAlarm = () => {
      signals++
    }
    process.on('SIGALRM', onAlarm)
    try {
      await withSocket((libc, fd) => {
        setReceiveTimeout(libc, fd, 400_000)
        setAlarm(100_000)
        expect(() => libc.recv(fd, new Uint8Array(8))).toThrow(
          expect.objectContaining({ op: 'recv', code: 'EAGAIN' }),
        )
      })
      await expect.poll(() => signals).toBe(1)
    } finally {
      process.off('SIGALRM', onAlarm)
    }
  })
})

describe('SystemError', () => {
  test('names the call and the errno', () => {
    const error = new SystemError('bind', 98)
    expect(error).toMatchObject({
      name: 'SystemError',
      message: 'bind: EADDRINUSE',
      op: 'bind',
      errno: 98,
      code: 'EADDRINUSE',
    })
  })

  test('has a name even for the errno 0, which stands for no error', () => {
    expect(new SystemError('bind', 0).code).toBe('errno 0')
  })
})
