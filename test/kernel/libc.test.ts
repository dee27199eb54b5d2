import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { describe, expect, test } from 'vitest'
import { type Libc, openLibc, SystemError } from '../../src/kernel/libc.ts'
import { constant } from '../support/kernel/layout.ts'

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

  /**
   * Has the kernel send one signal to this very thread, which a process may have several of. Its handler is abs(3), a
   * function of an int that does nothing to anybody. Returns a function that asks whether the signal has come.
   */
  function setAlarm(milliseconds: number): () => boolean {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
    const library = koffi.load(null)
    const call = (prototype: string, ...values: unknown[]) => library.func(prototype)(...values)
    const [SIGRTMAX, CLOCK_MONOTONIC, SIGEV_THREAD_ID] = [64, 1, 4]
    call('void *signal(int, void *)', SIGRTMAX, call('void *dlsym(void *, str)', null, 'abs'))
    // struct sigevent: value, signal, how to notify, thread.
    const event = new Int32Array([
      0,
      0,
      SIGRTMAX,
      SIGEV_THREAD_ID,
      call('int gettid()'),
      ...new Array(11).fill(0),
    ])
    const timer = new BigUint64Array(1)
    const create = 'int timer_create(int, const void *, void *)'
    expect(call(create, CLOCK_MONOTONIC, event, timer)).toBe(0)
    // struct itimerspec: the interval and the time until the first, each in seconds and nanoseconds.
    const times = new BigInt64Array([0n, 0n, 0n, BigInt(milliseconds * 1_000_000)])
    expect(
      call('int timer_settime(void *, int, const void *, void *)', timer[0], 0, times, null),
    ).toBe(0)
    return () => {
      const left = new BigInt64Array(4)
      call('int timer_gettime(void *, void *)', timer[0], left)
      return left.every((word) => word === 0n)
    }
  }

  test('recv() goes on waiting after a signal, until its time-out', () =>
    withSocket((libc, fd) => {
      setReceiveTimeout(libc, fd, 400_000)
      const hasCome = setAlarm(100)
      expect(() => libc.recv(fd, new Uint8Array(8))).toThrow(
        expect.objectContaining({ op: 'recv', code: 'EAGAIN' }),
      )
      expect(hasCome()).toBe(true)
    }))
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
