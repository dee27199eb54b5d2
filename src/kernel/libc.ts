// The only door to system calls that Node does not offer, through koffi. This is the seam between this program and the
// operating system: everything above takes the Libc interface, or the NetlinkChannel made from it, and tests inject
// fakes. Every call here blocks the calling thread, so only the worker thread may hold a Libc.

import { arch } from 'node:os'
import { getSystemErrorName } from 'node:util'

/** A failed system call. `code` is the errno's name, e.g. `EPERM`. */
export class SystemError extends Error {
  readonly op: string
  readonly errno: number
  readonly code: string

  constructor(op: string, errno: number) {
    const code = errnoName(errno)
    super(`${op}: ${code}`)
    this.name = 'SystemError'
    this.op = op
    this.errno = errno
    this.code = code
  }
}

export interface Libc {
  /** Returns a descriptor, closed on exec. */
  socket(domain: number, type: number, protocol: number): number
  bind(fd: number, address: Uint8Array): void
  listen(fd: number, backlog: number): void
  /** Throws EINPROGRESS as well: on a non-blocking socket that is the good news. */
  connect(fd: number, address: Uint8Array): void
  setsockopt(fd: number, level: number, option: number, value: Uint8Array): void
  /** The value of an option that is that many bytes long. */
  getsockopt(fd: number, level: number, option: number, bytes: number): Uint8Array
  send(fd: number, bytes: Uint8Array): void
  /** Fills `buffer` and returns the length of the datagram, which is larger than the buffer if it was cut. */
  recv(fd: number, buffer: Uint8Array): number
  /** Moves the calling thread, and it alone, into the network namespace behind `fd`. */
  setns(fd: number): void
  /**
   * Calls bpf(2) for a command that returns a descriptor, closed on exec. The address of each of `pointers` is written
   * into `attributes` first, at its offset.
   */
  bpf(command: number, attributes: Uint8Array, pointers?: readonly BpfPointer[]): number
  /** Makes a request that fills `value`, or without one a request that returns a descriptor, closed on exec. */
  ioctl(fd: number, request: number, value?: Uint8Array): number
  /** Fills `buffer` and returns how many bytes there were; 0 at the end. */
  read(fd: number, buffer: Uint8Array): number
  close(fd: number): void
}

export type BpfPointer = readonly [offset: number, bytes: Uint8Array]

export const SOCK_CLOEXEC = 0o2000000
export const SOCK_NONBLOCK = 0o4000
export const MSG_TRUNC = 0x20
export const CLONE_NEWNET = 0x40000000
export const EINTR = 4
/** The number of bpf(2) by architecture, as Node names them. */
const SYS_BPF: Readonly<Record<string, number>> = {
  arm: 386,
  arm64: 280,
  ia32: 357,
  loong64: 280,
  ppc64: 361,
  riscv64: 280,
  x64: 321,
}
const ENOSYS = 38

/** Loads koffi and the process' own libc (glibc or musl). Throws where there is no koffi for the platform. */
export async function openLibc(): Promise<Libc> {
  const koffi = (await import('koffi')).default
  const self = koffi.load(null)
  const socket = self.func('int socket(int, int, int)')
  const bind = self.func('int bind(int, const void *, uint32_t)')
  const listen = self.func('int listen(int, int)')
  const connect = self.func('int connect(int, const void *, uint32_t)')
  const setsockopt = self.func('int setsockopt(int, int, int, const void *, uint32_t)')
  const getsockopt = self.func('int getsockopt(int, int, int, void *, void *)')
  const send = self.func('long send(int, const void *, size_t, int)')
  const recv = self.func('long recv(int, void *, size_t, int)')
  const setns = self.func('int setns(int, int)')
  const syscall = self.func('long syscall(long, long, void *, long)')
  const ioctl = self.func('int ioctl(int, unsigned long, ...)')
  const read = self.func('long read(int, void *, size_t)')
  const close = self.func('int close(int)')

  /** Keeps memory from being collected while only the kernel knows its address. */
  const held: { pointers: readonly BpfPointer[] } = { pointers: [] }

  const checked = (op: string, result: number): number => {
    if (result < 0) throw new SystemError(op, koffi.errno())
    return result
  }
  return {
    socket: (domain, type, protocol) =>
      checked('socket', socket(domain, type | SOCK_CLOEXEC, protocol)),
    bind: (fd, address) => void checked('bind', bind(fd, address, address.length)),
    listen: (fd, backlog) => void checked('listen', listen(fd, backlog)),
    connect: (fd, address) => void checked('connect', connect(fd, address, address.length)),
    setsockopt: (fd, level, option, value) =>
      void checked('setsockopt', setsockopt(fd, level, option, value, value.length)),
    getsockopt: (fd, level, option, bytes) => {
      const value = new Uint8Array(bytes)
      const length = Uint32Array.of(bytes)
      checked('getsockopt', getsockopt(fd, level, option, value, length))
      return value.subarray(0, length[0])
    },
    send: (fd, bytes) => void checked('send', send(fd, bytes, bytes.length, 0)),
    recv: (fd, buffer) => {
      // A receive time-out switches off the kernel's own restart after a signal (signal(7)).
      for (;;) {
        const length = recv(fd, buffer, buffer.length, MSG_TRUNC)
        if (length >= 0 || koffi.errno() !== EINTR) return checked('recv', length)
      }
    },
    setns: (fd) => void checked('setns', setns(fd, CLONE_NEWNET)),
    bpf: (command, attributes, pointers = []) => {
      const number = SYS_BPF[arch()]
      if (number === undefined) throw new SystemError('bpf', ENOSYS)
      const view = new DataView(attributes.buffer, attributes.byteOffset, attributes.byteLength)
      for (const [offset, bytes] of pointers) {
        view.setBigUint64(offset, BigInt(koffi.address(bytes)), true)
      }
      held.pointers = pointers
      const result = syscall(number, command, attributes, attributes.length)
      held.pointers = []
      return checked('bpf', Number(result))
    },
    ioctl: (fd, request, value) => checked('ioctl', ioctl(fd, request, 'void *', value ?? null)),
    read: (fd, buffer) => checked('read', read(fd, buffer, buffer.length)),
    close: (fd) => void checked('close', close(fd)),
  }
}

function errnoName(errno: number): string {
  try {
    return getSystemErrorName(-errno)
  } catch {
    return `errno ${errno}`
  }
}
