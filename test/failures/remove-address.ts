// Takes ::1 away from the loopback interface of the calling thread's namespace, over rtnetlink (linux/if_addr.h).

import { AF, type Libc, SOCK } from '../support/libc.ts'
import { check } from '../support/netns.ts'

const RTM_DELADDR = 21
const NLM_REQUEST_AND_ACK = 5
const IFA_LOCAL = 2

// nlmsghdr: length u32, type u16, flags u16, sequence u32, port u32; ifaddrmsg: family u8, prefix u8, flags u8, scope u8,
// interface u32; rtattr: length u16, type u16, the address. The answer has its error at 16.
export function removeIpv6Loopback(libc: Libc): void {
  const action = 'remove ::1 from lo'
  const message = Buffer.alloc(16 + 8 + 4 + 16)
  message.writeUInt32LE(message.length, 0)
  message.writeUInt16LE(RTM_DELADDR, 4)
  message.writeUInt16LE(NLM_REQUEST_AND_ACK, 6)
  message.writeUInt8(AF.inet6, 16)
  message.writeUInt8(128, 17)
  message.writeUInt32LE(libc.interfaceIndex('lo'), 20)
  message.writeUInt16LE(4 + 16, 24)
  message.writeUInt16LE(IFA_LOCAL, 26)
  message.set(libc.addressBytes('::1'), 28)
  const fd = check(action, libc.socket(AF.netlink, SOCK.raw | SOCK.closeOnExec, 0))
  try {
    check(action, libc.setOption(fd, 'receiveTimeout', BigInt64Array.of(2n, 0n)))
    check(action, libc.send(fd, message))
    const answer = Buffer.alloc(4096)
    check(action, libc.receive(fd, answer))
    check(action, answer.readInt32LE(16))
  } finally {
    libc.close(fd)
  }
}
