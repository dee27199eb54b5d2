// A fresh network namespace for the calling thread, and what it takes to send packets in it, over rtnetlink
// (linux/rtnetlink.h, linux/if_link.h, linux/veth.h), so that no iproute2 is needed.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { AF, CLONE_NEWNET, check, familyOf, type Libc } from '../kernel/libc.ts'
import { askRoute, encodeAttribute, NLM } from '../kernel/rtnetlink.ts'

const RTM = { newLink: 16, newAddress: 20, deleteAddress: 21 } as const
const IFF = { up: 0x1, noArp: 0x80 } as const
const IFLA = {
  ifName: 3,
  linkInfo: 18,
  infoKind: 1,
  infoData: 2,
  vethPeer: 1,
  vrfTable: 1,
} as const
const IFA = { address: 1, local: 2, flags: 8, noDad: 2 } as const

const SETTINGS = '/proc/sys/net/ipv4'

/** The interface towards the address nobody answers from, `10.9.0.0/24`. */
export const VETH = 'v0'

/** Moves the calling thread into a new namespace and furnishes it. */
export function enterFreshNetns(libc: Libc): void {
  unshareNetns(libc)
  furnishNetns(libc)
}

/** Rows of a small table. A machine's own may have 262,144, and every listing in any namespace walks all of them. */
export const TCP_ROWS = 8192

/** Lists what the kernel chooses by the rows of the table, as the calling thread's namespace has it. */
export function listLimitsByRows(): readonly { readonly name: string; readonly value: string }[] {
  return ['tcp_max_tw_buckets', 'tcp_max_syn_backlog'].map((name) => {
    return { name, value: readFileSync(`${SETTINGS}/${name}`, 'utf8').trim() }
  })
}

/** Does what enterFreshNetns() does, and has the kernel make a small table of TCP sockets for it, where it can (6.1). */
export function enterSmallNetns(libc: Libc): void {
  unshareNetns(libc)
  const rows = `${SETTINGS}/tcp_child_ehash_entries`
  if (!existsSync(rows)) {
    furnishNetns(libc)
    return
  }
  const limits = listLimitsByRows()
  writeFileSync(rows, `${TCP_ROWS}`)
  enterFreshNetns(libc)
  for (const { name, value } of limits) writeFileSync(`${SETTINGS}/${name}`, value)
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
  // A delayed ACK that the peer's FIN overtakes on another CPU is answered from TIME_WAIT, and that by a RST, which by
  // default ends the TIME_WAIT.
  writeFileSync(`${SETTINGS}/tcp_rfc1337`, '1')
}

/** NB: without ARP a packet is sent at once to nobody; with it, connect() would fail after three seconds. */
export function bringUp(libc: Libc, device: string): void {
  const flags = device === 'lo' ? IFF.up : IFF.up | IFF.noArp
  const link = encodeLink(interfaceIndex(libc, device), flags, flags)
  check(`bring ${device} up`, askRoute(libc, RTM.newLink, 0, link))
}

export function addAddress(libc: Libc, device: string, address: string, prefix: number): void {
  const bytes = libc.addressBytes(address)
  const noDad = familyOf(address) === AF.inet6 ? IFA.noDad : 0
  const body = Buffer.concat([
    encodeAddressHead(libc, device, address, prefix),
    encodeAttribute(IFA.local, bytes),
    encodeAttribute(IFA.address, bytes),
    encodeAttribute(IFA.flags, Uint8Array.of(noDad, 0, 0, 0)),
  ])
  check(
    `add ${address}/${prefix} to ${device}`,
    askRoute(libc, RTM.newAddress, NLM.create | NLM.exclusive, body),
  )
}

export function removeAddress(libc: Libc, device: string, address: string, prefix: number): void {
  const body = Buffer.concat([
    encodeAddressHead(libc, device, address, prefix),
    encodeAttribute(IFA.local, libc.addressBytes(address)),
  ])
  check(`remove ${address}/${prefix} from ${device}`, askRoute(libc, RTM.deleteAddress, 0, body))
}

// struct ifaddrmsg: family u8, prefix u8, flags u8, scope u8, interface u32
function encodeAddressHead(libc: Libc, device: string, address: string, prefix: number): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt8(familyOf(address), 0)
  head.writeUInt8(prefix, 1)
  head.writeUInt32LE(interfaceIndex(libc, device), 4)
  return head
}

export function createVethPair(libc: Libc, name: string, peer: string): void {
  const peerLink = Buffer.concat([
    encodeLink(0, 0, 0),
    encodeAttribute(IFLA.ifName, zeroEnded(peer)),
  ])
  createDevice(libc, name, 'veth', encodeAttribute(IFLA.vethPeer, peerLink))
}

/** Needs the module vrf. What belongs to the device looks its routes up in that table. */
export function createVrf(libc: Libc, name: string, table: number): void {
  createDevice(libc, name, 'vrf', encodeAttribute(IFLA.vrfTable, Uint8Array.of(table, 0, 0, 0)))
}

function createDevice(libc: Libc, name: string, kind: string, data: Buffer): void {
  const body = Buffer.concat([
    encodeLink(0, 0, 0),
    encodeAttribute(IFLA.ifName, zeroEnded(name)),
    encodeAttribute(
      IFLA.linkInfo,
      Buffer.concat([
        encodeAttribute(IFLA.infoKind, Buffer.from(kind)),
        encodeAttribute(IFLA.infoData, data),
      ]),
    ),
  ])
  check(`create ${kind} ${name}`, askRoute(libc, RTM.newLink, NLM.create | NLM.exclusive, body))
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

function zeroEnded(text: string): Buffer {
  return Buffer.from(`${text}\0`)
}
