// Network devices over NETLINK_ROUTE: RTM_GETLINK -> index, name, and whether sockets bound to it have ports of their own.
// Mirrors include/uapi/linux/if_link.h and rtnetlink.h. Needs no right.
//
//   struct ifinfomsg (16)
//   4  s32 index    8  u32 flags

import { DecodeError, type Device } from '../observation.ts'
import type { Libc } from './libc.ts'
import {
  align4,
  attributeEnd,
  type DatagramEnd,
  messageEnd,
  messageErrno,
  NLM_F_REQUEST_DUMP,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_HEADER_BYTES,
} from './netlink.ts'
import { dumpDatagrams, type NetlinkChannel, openNetlinkChannel } from './netlink-channel.ts'
import { refusable } from './refused-call.ts'

const NETLINK_ROUTE = 0
const RTM_NEWLINK = 16
const RTM_GETLINK = 18
const IFINFO_BYTES = 16
const IFF_UP = 1
const IFLA_IFNAME = 3
const IFLA_MASTER = 10
const IFLA_LINKINFO = 18
const IFLA_INFO_KIND = 1
const IFLA_INFO_DATA = 2
/** By the kind of a device its UDP port, big endian: IFLA_VXLAN_PORT, IFLA_GENEVE_PORT, IFLA_BAREUDP_PORT. */
const tunnelPortOf: Readonly<Record<string, number>> = { vxlan: 15, geneve: 5, bareudp: 1 }
const ATTRIBUTE_TYPE_MASK = 0x3fff

/**
 * Looks up devices of the calling thread's namespace by index; those that have gone are left out. Throws SourceError or
 * DecodeError.
 */
export function readDevices(libc: Libc, indexes: readonly number[]): ReadonlyMap<number, Device> {
  return withLinks(libc, (channel) => dumpDevices(channel, indexes))
}

/** Lists the UDP ports at which the kernel itself listens for devices of the calling thread's namespace. Throws as above. */
export function readTunnelPorts(libc: Libc): ReadonlySet<number> {
  return withLinks(libc, dumpTunnelPorts)
}

function withLinks<T>(libc: Libc, use: (channel: NetlinkChannel) => T): T {
  const open = () => openNetlinkChannel(libc, NETLINK_ROUTE)
  const channel = refusable('Cannot list network devices', open)
  try {
    return use(channel)
  } finally {
    channel.close()
  }
}

interface Link {
  readonly name: string
  readonly master: number
  readonly kind: string
  readonly tunnelPort: number | undefined
}

/** By text, which V8 hashes with a secret, other than numbers: whoever has a namespace chooses the indexes in it. */
type Links = Map<string, Link>

const keyOf = (index: number) => `index ${index}`

/** Looks up devices over a channel. */
export function dumpDevices(
  channel: NetlinkChannel,
  indexes: readonly number[],
): ReadonlyMap<number, Device> {
  const links = dumpLinks(channel)
  const isVrf = (index: number) => links.get(keyOf(index))?.kind === 'vrf'
  const devices = new Map<number, Device>()
  for (const index of indexes) {
    const link = links.get(keyOf(index))
    if (link === undefined) continue
    devices.set(index, { name: link.name, vrf: isVrf(index) || isVrf(link.master) })
  }
  return devices
}

/** Lists UDP ports of the kernel over a channel. */
export function dumpTunnelPorts(channel: NetlinkChannel): ReadonlySet<number> {
  return new Set([...dumpLinks(channel).values()].flatMap(({ tunnelPort }) => tunnelPort ?? []))
}

function dumpLinks(channel: NetlinkChannel): Links {
  const links: Links = new Map()
  const decode = (datagram: Uint8Array) => decodeLinks(datagram, links)
  const dump = { request: encodeLinksRequest(), what: 'network devices', decode }
  for (const _datagram of dumpDatagrams(channel, dump));
  return links
}

function encodeLinksRequest(): Uint8Array {
  const bytes = new Uint8Array(NLMSG_HEADER_BYTES + IFINFO_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, bytes.length, true)
  view.setUint16(4, RTM_GETLINK, true)
  view.setUint16(6, NLM_F_REQUEST_DUMP, true)
  view.setUint32(8, 1, true)
  return bytes
}

function decodeLinks(datagram: Uint8Array, links: Links): DatagramEnd {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength)
  for (let offset = 0; offset < datagram.length; ) {
    const end = messageEnd(view, offset, datagram.length)
    const type = view.getUint16(offset + 4, true)
    if (type === NLMSG_DONE || type === NLMSG_ERROR) {
      const errno = messageErrno(view, offset, end)
      if (errno !== 0) return { errno }
      if (type === NLMSG_DONE) return 'done'
    } else if (type === RTM_NEWLINK) {
      decodeLink(datagram, { view, start: offset + NLMSG_HEADER_BYTES, end }, links)
    }
    offset = Math.min(align4(end), datagram.length)
  }
  return 'more'
}

interface Part {
  readonly view: DataView
  readonly start: number
  readonly end: number
}

function decodeLink(bytes: Uint8Array, { view, start, end }: Part, links: Links): void {
  if (start + IFINFO_BYTES > end) {
    throw new DecodeError(`Cannot decode device: ${end - start} bytes, need ${IFINFO_BYTES}`, start)
  }
  let [name, master, kind] = ['', 0, '']
  let data: readonly [number, number] = [0, 0]
  for (const { type, from, to } of listAttributes(view, start + IFINFO_BYTES, end)) {
    if (type === IFLA_IFNAME) name = decodeText(bytes, from, to)
    else if (type === IFLA_MASTER && to >= from + 4) master = view.getUint32(from, true)
    else if (type === IFLA_LINKINFO) {
      for (const inner of listAttributes(view, from, to)) {
        if (inner.type === IFLA_INFO_KIND) kind = decodeText(bytes, inner.from, inner.to)
        else if (inner.type === IFLA_INFO_DATA) data = [inner.from, inner.to]
      }
    }
  }
  // The kernel listens for a device while that is up; whoever may make devices could else hide a port behind one.
  const isUp = (view.getUint32(start + 8, true) & IFF_UP) !== 0
  const tunnelPort = isUp ? decodePort(view, data, tunnelPortOf[kind]) : undefined
  links.set(keyOf(view.getInt32(start + 4, true)), { name, master, kind, tunnelPort })
}

function decodePort(view: DataView, [start, end]: readonly [number, number], wanted?: number) {
  if (wanted === undefined) return undefined
  for (const { type, from, to } of listAttributes(view, start, end)) {
    if (type === wanted && to >= from + 2) return view.getUint16(from)
  }
  return undefined
}

function* listAttributes(view: DataView, start: number, end: number) {
  for (let offset = start; offset < end; ) {
    const next = attributeEnd(view, offset, end)
    const type = view.getUint16(offset + 2, true) & ATTRIBUTE_TYPE_MASK
    yield { type, from: offset + 4, to: next }
    offset = align4(next)
  }
}

/** Text ends at the first zero. */
function decodeText(bytes: Uint8Array, from: number, to: number): string {
  const end = bytes.subarray(from, to).indexOf(0)
  return Buffer.from(bytes.subarray(from, end < 0 ? to : from + end)).toString('utf8')
}
