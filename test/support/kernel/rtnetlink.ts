// One question to rtnetlink and its answer (linux/netlink.h, linux/rtnetlink.h), about the namespace of the calling thread.

import { AF, check, type Libc, SOCK } from './libc.ts'

const NETLINK_ROUTE = 0
const NLMSG_ERROR = 2
export const NLM = { request: 1, ack: 4, exclusive: 0x200, create: 0x400 } as const

// struct rtattr: length u16 (itself included), type u16, value, padded to four bytes
export function encodeAttribute(type: number, value: Uint8Array): Buffer {
  const bytes = Buffer.alloc((4 + value.length + 3) & ~3)
  bytes.writeUInt16LE(4 + value.length, 0)
  bytes.writeUInt16LE(type, 2)
  bytes.set(value, 4)
  return bytes
}

// struct nlmsghdr: length u32, type u16, flags u16, sequence u32, port u32.
// A refusal, and with the flag `ack` a consent, is a struct nlmsgerr: error i32 at 16.
/** Returns 0, or -errno where the kernel refuses. Throws when it cannot be asked. */
export function askRoute(libc: Libc, type: number, flags: number, body: Buffer): number {
  const fd = check(
    'open a socket of rtnetlink',
    libc.socket(AF.netlink, SOCK.raw | SOCK.closeOnExec, NETLINK_ROUTE),
  )
  try {
    const head = Buffer.alloc(16)
    head.writeUInt32LE(16 + body.length, 0)
    head.writeUInt16LE(type, 4)
    head.writeUInt16LE(NLM.request | NLM.ack | flags, 6)
    check('limit the time', libc.setOption(fd, 'receiveTimeout', BigInt64Array.of(2n, 0n)))
    check('ask rtnetlink', libc.send(fd, Buffer.concat([head, body])))
    const answer = Buffer.alloc(4096)
    check('hear rtnetlink', libc.receive(fd, answer))
    return answer.readUInt16LE(4) === NLMSG_ERROR ? answer.readInt32LE(16) : 0
  } finally {
    libc.close(fd)
  }
}
