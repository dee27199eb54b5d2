// A fresh network namespace for the calling thread, and what it takes to send packets in it, over rtnetlink
// (linux/rtnetlink.h, linux/if_link.h, linux/veth.h), so that no iproute2 is needed.

import { writeFileSync } from 'node:fs'
import { AF, CLONE_NEWNET, errnoName, familyOf, type Libc, SOCK } from './libc.ts'

const NETLINK_ROUTE = 0
const RTM = { newLink: 16, newAddress: 20 } as const
const NLM = { request: 1, ack: 4, exclusive: 0x200, create: 0x400 } as const
const IFF = { up: 0x1, noArp: 0x80 } as const
const IFLA = { ifName: 3, linkInfo: 18, infoKind: 1, infoData: 2, vethPeer: 1 } as const
const IFA = { address: 1, local: 2, flags: 8, noDad: 2 } as const

/** The interface towards the address nobody answers from, `10.9.0.0/24`. */
export const VETH = 'v0'

/** Moves the calling thread into a new namespace and furnishes it. */
export function enterFreshNetns(libc: Libc): void {
  unshareNetns(libc)
  furnishNetns(libc)
}

/** Moves the calling thread into a new, empty namespace. */
export function unshareNetns(libc: Libc): void {
  check('create a network namespace', libc.unshare(CLONE_NEWNET))
}

/**
 * Furnishes an empty namespace with: lo up (127.0.0.0/8, ::1, fd00::1), and v0 with 10.9.0.1/24, half of a veth pair
 * that never resolves a neighbour: a connect() to any other 10.9.0.x stays in SYN_SENT until TCP gives up.
 */
export function furnishNetns(libc: Libc): void {
  createVethPair(libc, VETH, 'v1')
  for (const device of ['lo', VETH, 'v1']) bringUp(libc, device)
  addAddress(libc, VETH, '10.9.0.1', 24)
  addAddress(libc, 'lo', 'fd00::1', 128)
  // Filling a pool must not fail because a listener's queue is full.
  writeFileSync('/proc/sys/net/core/somaxconn', '65535')
}

/** NB: without ARP a packet is sent at once to nobody; with it, connect() would fail after three seconds. */
export function bringUp(libc: Libc, device: string): void {
  const flags = device === 'lo' ? IFF.up : IFF.up | IFF.noArp
  const link = encodeLink(interfaceIndex(libc, device), flags, flags)
  request(libc, `bring ${device} up`, RTM.newLink, 0, link)
}

export function addAddress(libc: Libc, device: string, address: string, prefix: number): void {
  const bytes = libc.addressBytes(address)
  // struct ifaddrmsg: family u8, prefix u8, flags u8, scope u8, interface u32
  const head = Buffer.alloc(8)
  head.writeUInt8(familyOf(address), 0)
  head.writeUInt8(prefix, 1)
  head.writeUInt32LE(interfaceIndex(libc, device), 4)
  const body = Buffer.concat([
    head,
    encodeAttribute(IFA.local, bytes),
    encodeAttribute(IFA.address, bytes),
    encodeAttribute(
      IFA.flags,
      Uint8Array.of(familyOf(address) === AF.inet6 ? IFA.noDad : 0, 0, 0, 0),
    ),
  ])
  request(
    libc,
    `add ${address}/${prefix} to ${device}`,
    RTM.newAddress,
    NLM.create | NLM.exclusive,
    body,
  )
}

export function createVethPair(libc: Libc, name: string, peer: string): void {
  const peerLink = Buffer.concat([
    encodeLink(0, 0, 0),
    encodeAttribute(IFLA.ifName, zeroEnded(peer)),
  ])
  const body = Buffer.concat([
    encodeLink(0, 0, 0),
    encodeAttribute(IFLA.ifName, zeroEnded(name)),
    encodeAttribute(
      IFLA.linkInfo,
      Buffer.concat([
        encodeAttribute(IFLA.infoKind, Buffer.from('veth')),
        encodeAttribute(IFLA.infoData, encodeAttribute(IFLA.vethPeer, peerLink)),
      ]),
    ),
  ])
  request(libc, `create the veth pair ${name}`, RTM.newLink, NLM.create | NLM.exclusive, body)
}

function interfaceIndex(libc: Libc, device: string): number {
  const index = libc.interfaceIndex(device)
  if (index <= 0) throw new Error(`Cannot find the interface ${JSON.stringify(device)}`)
  return index
}

// struct ifinfomsg: family u8, pad u8, type u16, index i32, flags u32, change u32
function encodeLink(index: number, flags: number, change: number): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeInt32LE(index, 4)
  bytes.writeUInt32LE(flags, 8)
  bytes.writeUInt32LE(change, 12)
  return bytes
}

// struct rtattr: length u16 (itself included), type u16, value, padded to four bytes
function encodeAttribute(type: number, value: Uint8Array): Buffer {
  const bytes = Buffer.alloc((4 + value.length + 3) & ~3)
  bytes.writeUInt16LE(4 + value.length, 0)
  bytes.writeUInt16LE(type, 2)
  bytes.set(value, 4)
  return bytes
}

function zeroEnded(text: string): Buffer {
  return Buffer.from(`${text}\0`)
}

// struct nlmsghdr: length u32, type u16, flags u16, sequence u32, port u32.
// The answer is a struct nlmsgerr: error i32 at 16.
function request(libc: Libc, action: string, type: number, flags: number, body: Buffer): void {
  const fd = check(action, libc.socket(AF.netlink, SOCK.raw | SOCK.closeOnExec, NETLINK_ROUTE))
  try {
    const head = Buffer.alloc(16)
    head.writeUInt32LE(16 + body.length, 0)
    head.writeUInt16LE(type, 4)
    head.writeUInt16LE(NLM.request | NLM.ack | flags, 6)
    check(action, libc.setOption(fd, 'receiveTimeout', BigInt64Array.of(2n, 0n)))
    check(action, libc.send(fd, Buffer.concat([head, body])))
    const answer = Buffer.alloc(4096)
    check(action, libc.receive(fd, answer))
    check(action, answer.readInt32LE(16))
  } finally {
    libc.close(fd)
  }
}

/** Passes a result on, or throws for a -errno. */
export function check(action: string, result: number): number {
  if (result >= 0) return result
  throw new Error(`Cannot ${action}: ${errnoName(result)}`)
}
