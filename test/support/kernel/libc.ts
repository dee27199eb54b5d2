// Test side FFI: the few system calls that make sockets and namespaces, independent of src/.
// Every call gives what the C function returned, or -errno. koffi is optional, hence required lazily.

import { createRequire } from 'node:module'
import { constants } from 'node:os'
import type { KoffiFunc } from 'koffi'

export const AF = { inet: 2, inet6: 10, netlink: 16 } as const
export const SOCK = {
  stream: 1,
  datagram: 2,
  raw: 3,
  nonBlocking: 0o4000,
  closeOnExec: 0o2000000,
} as const
export const CLONE_NEWNET = 0x4000_0000
const RLIMIT_NOFILE = 7

const PR = { setNoNewPrivs: 38, setSeccomp: 22, seccompFilter: 2 } as const
/** A = number of the system call; if it is bpf's on x86_64 or arm64, errno 1; otherwise allow (linux/filter.h, seccomp.h). */
const SECCOMP_NO_BPF = [
  '2000000000000000', // ld [0]
  `1500010041010000`, // jeq 321, +1, 0
  `1500000118010000`, // jeq 280, 0, +1
  '0600000001000500', // ret ERRNO | EPERM
  '060000000000ff7f', // ret ALLOW
].join('')

/** Socket options as [level, option]. */
export const OPTION = {
  reuseAddress: [1, 2],
  reusePort: [1, 15],
  linger: [1, 13],
  receiveTimeout: [1, 20],
  sendTimeout: [1, 21],
  bindToDevice: [1, 25],
  bindAddressNoPort: [0, 24],
  localPortRange: [0, 51],
  transparent: [0, 19],
  ipv6Only: [41, 26],
  deferAccept: [6, 9],
} as const
export type OptionName = keyof typeof OPTION

export interface Endpoint {
  readonly address: string
  readonly port: number
}

export type Libc = ReturnType<typeof openLibc>

/** Loads the C library of this process. Throws where koffi has no build for the platform. */
export function openLibc() {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
  const library = koffi.load(null)

  // Declares a C function and turns its -1 into -errno.
  function declare(prototype: string): (...values: unknown[]) => number {
    const call = library.func(prototype) as KoffiFunc<(...values: unknown[]) => number>
    return (...values) => {
      const result = call(...values)
      return result === -1 ? -koffi.errno() : result
    }
  }

  const raw = {
    bind: declare('int bind(int, const void *, uint32_t)'),
    connect: declare('int connect(int, const void *, uint32_t)'),
    accept4: declare('int accept4(int, void *, void *, int)'),
    setsockopt: declare('int setsockopt(int, int, int, const void *, uint32_t)'),
    getsockname: declare('int getsockname(int, void *, void *)'),
    send: declare('long send(int, const void *, size_t, int)'),
    recv: declare('long recv(int, void *, size_t, int)'),
    inetPton: declare('int inet_pton(int, const char *, void *)'),
    ifNameToIndex: declare('uint32_t if_nametoindex(const char *)'),
    setrlimit: declare('int setrlimit(int, const void *)'),
    prctl: declare('int prctl(int, unsigned long, void *, unsigned long, unsigned long)'),
  }
  const inetNtop = library.func('const char *inet_ntop(int, const void *, void *, uint32_t)')

  // struct sockaddr_in: family u16, port be16, address 4 bytes, 8 bytes of padding.
  // struct sockaddr_in6: family u16, port be16, flow u32, address 16 bytes, scope u32.
  function encodeEndpoint({ address, port }: Endpoint): Uint8Array {
    const family = familyOf(address)
    const bytes = Buffer.alloc(family === AF.inet ? 16 : 28)
    bytes.writeUInt16LE(family, 0)
    bytes.writeUInt16BE(port, 2)
    bytes.set(addressBytes(address), family === AF.inet ? 4 : 8)
    return bytes
  }

  function decodeEndpoint(bytes: Buffer): Endpoint {
    const family = bytes.readUInt16LE(0)
    const offset = family === AF.inet ? 4 : 8
    const text = new Uint8Array(64)
    const address: string = inetNtop(family, bytes.subarray(offset), text, text.length)
    return { address, port: bytes.readUInt16BE(2) }
  }

  function addressBytes(address: string): Uint8Array {
    const family = familyOf(address)
    const bytes = new Uint8Array(family === AF.inet ? 4 : 16)
    if (raw.inetPton(family, address, bytes) !== 1) {
      throw new Error(`Cannot use ${JSON.stringify(address)} as an address`)
    }
    return bytes
  }

  return {
    addressBytes,
    unshare: declare('int unshare(int)'),
    setns: declare('int setns(int, int)'),
    socket: declare('int socket(int, int, int)'),
    listen: declare('int listen(int, int)'),
    shutdown: declare('int shutdown(int, int)'),
    close: declare('int close(int)'),
    bind: (fd: number, to: Endpoint) => {
      const bytes = encodeEndpoint(to)
      return raw.bind(fd, bytes, bytes.length)
    },
    connect: (fd: number, to: Endpoint) => {
      const bytes = encodeEndpoint(to)
      return raw.connect(fd, bytes, bytes.length)
    },
    /** The accepted socket, or -errno, and its peer. */
    accept(fd: number): { readonly fd: number; readonly peer: Endpoint | undefined } {
      const address = Buffer.alloc(28)
      const accepted = raw.accept4(fd, address, Uint32Array.of(28), SOCK.closeOnExec)
      return { fd: accepted, peer: accepted < 0 ? undefined : decodeEndpoint(address) }
    },
    localEndpoint(fd: number): Endpoint {
      const address = Buffer.alloc(28)
      const result = raw.getsockname(fd, address, Uint32Array.of(28))
      if (result < 0)
        throw new Error(`Cannot read the local address of descriptor ${fd}: ${errnoName(result)}`)
      return decodeEndpoint(address)
    },
    setOption(fd: number, name: OptionName, value: ArrayBufferView): number {
      const [level, option] = OPTION[name]
      return raw.setsockopt(fd, level, option, value, value.byteLength)
    },
    send: (fd: number, bytes: Uint8Array) => raw.send(fd, bytes, bytes.length, 0),
    receive: (fd: number, bytes: Uint8Array) => raw.recv(fd, bytes, bytes.length, 0),
    /** 0 where there is no such interface. */
    interfaceIndex: (name: string) => raw.ifNameToIndex(name),
    /** Has every further bpf(2) of this process end in EPERM, as a seccomp profile of a container has it. */
    forbidBpf(): void {
      const filter = Buffer.from(SECCOMP_NO_BPF, 'hex')
      // struct sock_fprog: how many instructions of 8 bytes, and where they are.
      const program = Buffer.alloc(16)
      program.writeUInt16LE(filter.length / 8, 0)
      program.writeBigUInt64LE(BigInt(koffi.address(filter)), 8)
      check('give up new privileges', raw.prctl(PR.setNoNewPrivs, 1, null, 0, 0))
      check('install a seccomp filter', raw.prctl(PR.setSeccomp, PR.seccompFilter, program, 0, 0))
      if (filter.length === 0) throw new Error('The filter must outlive the call')
    },
    /** Raises the number of descriptors this process may hold; needs root beyond the hard limit. */
    setDescriptorLimit: (count: number) =>
      raw.setrlimit(RLIMIT_NOFILE, BigUint64Array.of(BigInt(count), BigInt(count))),
  }
}

export function familyOf(address: string): number {
  return address.includes(':') ? AF.inet6 : AF.inet
}

/** The name of a -errno, where util.getSystemErrorName() knows only what libuv can meet. */
export function errnoName(result: number): string {
  const found = Object.entries(constants.errno).find(([, number]) => number === -result)
  return found?.[0] ?? `errno ${-result}`
}

/** Passes a result on, or throws for a -errno. */
export function check(action: string, result: number): number {
  if (result >= 0) return result
  throw new Error(`Cannot ${action}: ${errnoName(result)}`)
}
