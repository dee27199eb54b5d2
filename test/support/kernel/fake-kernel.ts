// A kernel for the self-test, at the system call: it keeps the sockets it is asked for and answers dumps of them byte by
// byte, less whatever it is told to lack.

import { type Libc, SystemError } from '../../../src/kernel/libc.ts'
import { buildDone, buildError, buildSocket } from './netlink-builder.ts'

export interface KernelTraits {
  /** State bit 13 lists what is only bound. */
  readonly boundIdle: boolean
  /** `blind`: INET_DIAG_BC_AUTO is true of every socket. */
  readonly portChoice: 'tells' | 'blind'
  readonly legacyWalk: boolean
  readonly udpDiag: boolean
  readonly cgroupId: boolean
  /** `silent`: requests are never answered; `empty`: dumps are; `refuses`: ENOENT, as without the module tcp_diag. */
  readonly tcpDiag: 'answers' | 'silent' | 'empty' | 'refuses'
  /** How many calls of bind() fail with `bindErrno`, EADDRINUSE by default, before one succeeds. */
  readonly portsInUse: number
  readonly bindErrno: number
}

export const currentKernel: KernelTraits = {
  boundIdle: true,
  portChoice: 'tells',
  legacyWalk: true,
  udpDiag: true,
  cgroupId: true,
  tcpDiag: 'answers',
  portsInUse: 0,
  bindErrno: 98,
}

export interface FakeKernel extends Libc {
  /** What of it is still open. */
  readonly openSockets: ReadonlyMap<number, unknown>
  readonly boundPorts: readonly number[]
  readonly options: readonly (readonly [level: number, option: number])[]
  readonly listenCalls: number
}

interface FakeSocket {
  readonly type: number
  port: number
  listening: boolean
  answers: Uint8Array[]
}

const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const ERRNO = { ENOENT: 2, EBADF: 9, EAGAIN: 11, EOPNOTSUPP: 95 }
const KERNEL = { close: 7, listen: 10, boundIdleBit: 13 }
/** After nlmsghdr and inet_diag_req_v2, and after struct inet_diag_req, each with the header of one attribute. */
const PROGRAM_AT = { modern: 16 + 56 + 4, legacy: 16 + 60 + 4 }

export function createFakeKernel(changes: Partial<KernelTraits> = {}): FakeKernel {
  const traits = { ...currentKernel, ...changes }
  const sockets = new Map<number, FakeSocket>()
  const boundPorts: number[] = []
  const options: [number, number][] = []
  let lastFd = 2
  let bindsToRefuse = traits.portsInUse
  let listenCalls = 0

  function find(op: string, fd: number): FakeSocket {
    const socket = sockets.get(fd)
    if (socket === undefined) throw new SystemError(op, ERRNO.EBADF)
    return socket
  }

  return {
    openSockets: sockets,
    boundPorts,
    options,
    get listenCalls() {
      return listenCalls
    },
    socket(_domain, type) {
      sockets.set(++lastFd, { type, port: 0, listening: false, answers: [] })
      return lastFd
    },
    bind(fd, address) {
      if (bindsToRefuse-- > 0) throw new SystemError('bind', traits.bindErrno)
      const port = ((address[2] ?? 0) << 8) | (address[3] ?? 0)
      find('bind', fd).port = port
      boundPorts.push(port)
    },
    listen(fd) {
      listenCalls++
      find('listen', fd).listening = true
    },
    connect() {
      throw new Error('The self-test must connect to nobody')
    },
    setsockopt(_fd, level, option) {
      options.push([level, option])
    },
    getsockopt() {
      throw new Error('The self-test reads no option')
    },
    send(fd, request) {
      find('send', fd).answers = [...answer(Buffer.from(request), [...sockets.values()], traits)]
    },
    recv(fd, buffer) {
      const next = find('recv', fd).answers.shift()
      if (next === undefined) throw new SystemError('recv', ERRNO.EAGAIN)
      buffer.set(next)
      return next.length
    },
    setns() {
      throw new Error('The self-test must stay in its namespace')
    },
    bpf() {
      throw new Error('The self-test must load nothing')
    },
    ioctl() {
      throw new Error('The self-test asks no file')
    },
    read() {
      throw new Error('The self-test reads no file')
    },
    close(fd) {
      find('close', fd)
      sockets.delete(fd)
    },
  }
}

function* answer(
  request: Buffer,
  sockets: readonly FakeSocket[],
  traits: KernelTraits,
): Generator<Uint8Array> {
  const sequence = request.readUInt32LE(8)
  const type = request.readUInt16LE(4)
  const legacy = type === 18
  const udp = !legacy && request.readUInt8(17) === 17
  if (traits.tcpDiag === 'silent') return
  // net/core/sock_diag.c:sock_diag_rcv_msg() where nobody registered for the old requests.
  if (legacy && !traits.legacyWalk) {
    yield Uint8Array.from(buildError(sequence, ERRNO.EOPNOTSUPP))
    return
  }
  // A dump that fails ends with an errno: netlink_dump() in net/netlink/af_netlink.c.
  if (udp ? !traits.udpDiag : traits.tcpDiag === 'refuses') {
    yield Uint8Array.from(buildDone(sequence, ERRNO.ENOENT))
    return
  }
  const states = request.readUInt32LE(legacy ? 16 + 52 : 16 + 4)
  const program = request.subarray(legacy ? PROGRAM_AT.legacy : PROGRAM_AT.modern)
  const wanted = sockets.filter(
    (socket) =>
      socket.type === (udp ? SOCK_DGRAM : SOCK_STREAM) &&
      traits.tcpDiag === 'answers' &&
      ((states >> stateBit(socket, traits)) & 1) === 1 &&
      accepts(program, socket.port, traits),
  )
  for (const { port, listening } of wanted) {
    const socket = {
      family: 4 as const,
      state: listening ? KERNEL.listen : KERNEL.close,
      timer: 0,
      localPort: port,
      remotePort: 0,
      local: [0, 0, 0, 0],
      remote: [0, 0, 0, 0],
      device: 0,
      expiresMs: 0,
      uid: 0,
      v6only: undefined,
      cgroupId: traits.cgroupId ? 2 ** 33 + 5 : undefined,
    }
    yield Uint8Array.from(buildSocket(socket, sequence, type))
  }
  yield Uint8Array.from(buildDone(sequence))
}

/** The bit of the states that lists the socket, or one that no request sets. */
function stateBit({ type, port, listening }: FakeSocket, traits: KernelTraits): number {
  if (port === 0) return 31
  if (listening) return KERNEL.listen
  if (type === SOCK_DGRAM) return KERNEL.close
  return traits.boundIdle ? KERNEL.boundIdleBit : 31
}

/**
 * net/ipv4/inet_diag.c:inet_diag_bc_run(): every socket here chose its port itself, so AUTO is false of it, and none has a
 * remote port.
 */
function accepts(program: Buffer, port: number, { portChoice }: KernelTraits): boolean {
  let left = program.length
  while (left > 0) {
    const at = program.length - left
    const [code, yes, no] = [
      program.readUInt8(at),
      program.readUInt8(at + 1),
      program.readUInt16LE(at + 2),
    ]
    const operand = at + 6 < program.length ? program.readUInt16LE(at + 6) : 0
    const holds =
      (code === 2 && port >= operand) ||
      (code === 3 && port <= operand) ||
      (code === 5 && operand >= 0) ||
      (code === 6 && portChoice === 'blind')
    left -= holds ? yes : no
  }
  return left === 0
}
