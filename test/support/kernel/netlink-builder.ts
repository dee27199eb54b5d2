// An encoder of the kernel's answers, written from include/uapi/linux/{netlink,inet_diag}.h and apart from the product's
// decoder, so that neither is tested against itself.

export interface WireSocket {
  family: 4 | 6
  state: number
  timer: number
  localPort: number
  remotePort: number
  /** 4 or 16 bytes in network order. */
  local: readonly number[]
  remote: readonly number[]
  device: number
  expiresMs: number
  uid: number
  /** Default 4242. */
  inode?: number
  v6only: boolean | undefined
  cgroupId: number | undefined
  /** Whether it has TCP timestamps, for an answer with struct tcp_info. */
  timestamps?: boolean
}

/** One of everything, for tests to change. */
export const plainSocket: WireSocket = {
  family: 4,
  state: 1,
  timer: 0,
  localPort: 40001,
  remotePort: 443,
  local: [10, 0, 0, 5],
  remote: [192, 168, 1, 9],
  device: 3,
  expiresMs: 1234,
  uid: 1000,
  v6only: undefined,
  cgroupId: 2 ** 33 + 5,
}

const NLMSG_ERROR = 2
const NLMSG_DONE = 3

function u16(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff]
}

function u32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff]
}

function be16(value: number): number[] {
  return [value >> 8, value & 0xff]
}

function pad(bytes: readonly number[], length: number): number[] {
  return [...bytes, ...new Array<number>(length - bytes.length).fill(0)]
}

export function buildAttribute(type: number, payload: readonly number[]): number[] {
  const length = 4 + payload.length
  return pad([...u16(length), ...u16(type), ...payload], Math.ceil(length / 4) * 4)
}

export function buildMessage(type: number, sequence: number, payload: readonly number[]): number[] {
  const length = 16 + payload.length
  return pad(
    [...u32(length), ...u16(type), ...u16(2), ...u32(sequence), ...u32(0), ...payload],
    Math.ceil(length / 4) * 4,
  )
}

export function buildSocket(socket: WireSocket, sequence: number, type = 20): number[] {
  return buildMessage(type, sequence, [
    socket.family === 4 ? 2 : 10,
    socket.state,
    socket.timer,
    0,
    ...be16(socket.localPort),
    ...be16(socket.remotePort),
    ...pad(socket.local, 16),
    ...pad(socket.remote, 16),
    ...u32(socket.device),
    ...u32(0x11223344),
    ...u32(0x55667788),
    ...u32(socket.expiresMs),
    ...u32(7),
    ...u32(9),
    ...u32(socket.uid),
    ...u32(socket.inode ?? 4242),
    ...buildAttribute(8, [0]),
    ...(socket.timestamps === undefined
      ? []
      : buildAttribute(2, pad([1, 0, 0, 0, 0, socket.timestamps ? 7 : 6], 104))),
    ...(socket.v6only === undefined ? [] : buildAttribute(11, [socket.v6only ? 1 : 0])),
    ...(socket.cgroupId === undefined
      ? []
      : buildAttribute(21, [
          ...u32(socket.cgroupId % 2 ** 32),
          ...u32(Math.floor(socket.cgroupId / 2 ** 32)),
        ])),
    ...buildAttribute(22, [0, 0]),
  ])
}

export function buildDone(sequence: number, errno = 0): number[] {
  return buildMessage(NLMSG_DONE, sequence, u32(-errno))
}

export function buildError(sequence: number, errno: number): number[] {
  return buildMessage(NLMSG_ERROR, sequence, [...u32(-errno), ...pad([], 16)])
}

/** Cuts the messages into datagrams of at most `perDatagram` messages. */
export function buildDatagrams(
  messages: readonly (readonly number[])[],
  perDatagram: number,
): Uint8Array[] {
  const datagrams: Uint8Array[] = []
  for (let at = 0; at < messages.length; at += perDatagram) {
    datagrams.push(Uint8Array.from(messages.slice(at, at + perDatagram).flat()))
  }
  return datagrams
}
