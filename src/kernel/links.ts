// Network devices over NETLINK_ROUTE: RTM_GETLINK -> index, name, and whether sockets bound to it have ports of their
// own. Mirrors include/uapi/linux/if_link.h and rtnetlink.h. Needs no right.
//
//   struct ifinfomsg (16)
//   4  s32 index    8  u32 flags

import { DecodeError, type Device } from '../observation.ts'
import type { Libc } from './libc.ts'
import {
  type DatagramEnd,
  encodeMessage,
  listAttributes,
  NLM_F_REQUEST_DUMP,
  walkDatagram,
} from './netlink.ts'
import {
  dumpDatagrams,
  dumpUndisturbed,
  NETLINK_ROUTE,
  type NetlinkChannel,
  openNetlinkChannel,
} from './netlink-channel.ts'
import { refusable } from './refused-call.ts'

const RTM_NEWLINK = 16
const RTM_GETLINK = 18
const IFINFO_BYTES = 16
const IFF_UP = 1
const IFLA_IFNAME = 3
const IFLA_MASTER = 10
const IFLA_LINKINFO = 18
const IFLA_INFO_KIND = 1
const IFLA_INFO_DATA = 2
/**
 * The attribute with the UDP port of a device, big endian, by its kind: IFLA_VXLAN_PORT, IFLA_GENEVE_PORT,
 * IFLA_BAREUDP_PORT.
 */
const tunnelPortOf: Readonly<Record<string, number>> = { vxlan: 15, geneve: 5, bareudp: 1 }
const SEQUENCE = 1

/**
 * Looks up devices of the calling thread's namespace by index; those that have gone are left out. Throws SourceError or
 * DecodeError.
 */
export function readDevices(libc: Libc, indexes: readonly number[]): ReadonlyMap<number, Device> {
  return dumpDevices(opener(libc), indexes)
}

/**
 * Lists the UDP ports at which the kernel itself listens for devices of the calling thread's namespace. Throws as
 * above.
 */
export function readTunnelPorts(libc: Libc): ReadonlySet<number> {
  return dumpTunnelPorts(opener(libc))
}

function opener(libc: Libc): () => NetlinkChannel {
  return () =>
    refusable('Cannot list network devices', () => openNetlinkChannel(libc, NETLINK_ROUTE))
}

interface Link {
  readonly name: string
  readonly master: number
  readonly kind: string
  readonly tunnelPort: number | undefined
}

/**
 * Devices by text, which V8 hashes with a secret, other than numbers: who has a namespace chooses the indexes in it.
 */
type Links = Map<string, Link>

const keyOf = (index: number) => `index ${index}`

/** Looks up devices over channels that `open` gives. */
export function dumpDevices(
  open: () => NetlinkChannel,
  indexes: readonly number[],
): ReadonlyMap<number, Device> {
  const links = dumpUndisturbed(open, dumpLinks)
  const isVrf = (index: number) => links.get(keyOf(index))?.kind === 'vrf'
  const devices = new Map<number, Device>()
  for (const index of indexes) {
    const link = links.get(keyOf(index))
    if (link === undefined) continue
    devices.set(index, { name: link.name, vrf: isVrf(index) || isVrf(link.master) })
  }
  return devices
}

/** Lists UDP ports of the kernel over channels that `open` gives. */
export function dumpTunnelPorts(open: () => NetlinkChannel): ReadonlySet<number> {
  const links = dumpUndisturbed(open, dumpLinks)
  return new Set([...links.values()].flatMap(({ tunnelPort }) => tunnelPort ?? []))
}

function dumpLinks(channel: NetlinkChannel, limitMs: number): Links {
  const links: Links = new Map()
  const request = encodeMessage(
    { type: RTM_GETLINK, flags: NLM_F_REQUEST_DUMP, sequence: SEQUENCE },
    new Uint8Array(IFINFO_BYTES),
  )
  const decode = (datagram: Uint8Array) => decodeLinks(datagram, links)
  const dump = { request, what: 'network devices', limitMs, decode }
  for (const _datagram of dumpDatagrams(channel, dump));
  return links
}

function decodeLinks(datagram: Uint8Array, links: Links): DatagramEnd {
  return walkDatagram(datagram, SEQUENCE, (view, type, start, end) => {
    if (type === RTM_NEWLINK) decodeLink(datagram, { view, start, end }, links)
  })
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
  // The kernel listens for a device while that is up. A user who may make devices could else hide a port behind one.
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

/** Text ends at the first zero. */
function decodeText(bytes: Uint8Array, from: number, to: number): string {
  const end = bytes.subarray(from, to).indexOf(0)
  return Buffer.from(bytes.subarray(from, end < 0 ? to : from + end)).toString('utf8')
}
