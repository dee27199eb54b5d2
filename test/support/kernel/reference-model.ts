// The model of docs/development/port-model.md#the-model once more, written naively from that page over plain rows: one
// set of ports per question, no tables, no tricks. The product's census and pools are compared with it.

import type { NetSettings } from '../../../src/observation.ts'
import type { WireSocket } from './netlink-builder.ts'

export interface ReferenceSocket {
  port: number
  remotePort: number
  /** Text such as 10.0.0.5, fd00::9 or ::1; v4-mapped addresses as IPv4. */
  source: string
  destination: string
  state: number
  minisock: boolean
  expiresMs: number
  device: number
  explicit: boolean
  v6only: boolean
}

const [TIME_WAIT, CLOSE, LISTEN] = [6, 7, 10]

export function toReference(socket: WireSocket, explicit: boolean): ReferenceSocket {
  return {
    port: socket.localPort,
    remotePort: socket.remotePort,
    source: addressText(socket.local),
    destination: addressText(socket.remote),
    state: socket.state,
    minisock: socket.timer === 3,
    expiresMs: socket.expiresMs,
    device: socket.device,
    explicit,
    v6only: socket.v6only ?? false,
  }
}

function addressText(bytes: readonly number[]): string {
  const mapped =
    bytes.length === 16 && bytes.slice(0, 10).every((b) => b === 0) && bytes[10] === 255
  if (bytes.length === 4) return bytes.join('.')
  if (mapped) return bytes.slice(12).join('.')
  const groups: string[] = []
  for (let at = 0; at < 16; at += 2) {
    groups.push((((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)).toString(16))
  }
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}

const isV4 = (address: string) => !address.includes(':')
const isLoopback = (address: string) => address === '::1' || address.startsWith('127.')

export function candidates({ range, reserved }: NetSettings, tcp: boolean): number[] {
  const ports: number[] = []
  for (let port = range.first; port <= range.last; port++) {
    if (reserved.some(({ first, last }) => port >= first && port <= last)) continue
    if (tcp && range.last - range.first + 1 === 3 && port === range.last) continue
    ports.push(port)
  }
  return ports
}

function blocks(socket: ReferenceSocket): boolean {
  return socket.state === LISTEN || socket.state === CLOSE || socket.explicit
}

function recyclable(socket: ReferenceSocket, settings: NetSettings): boolean {
  if (socket.state !== TIME_WAIT || !socket.minisock || !settings.tcpTimestamps) return false
  if (60_000 - socket.expiresMs <= settings.tcpTwReuseDelayMs) return false
  if (settings.tcpTwReuse === 1) return true
  return (
    settings.tcpTwReuse === 2 &&
    (isLoopback(socket.source) || isLoopback(socket.destination) || socket.device === 1)
  )
}

/** How many connect()s from `source` to `destination`, bound to `device` or not, would succeed. */
export function connectsLeft(
  sockets: readonly ReferenceSocket[],
  settings: NetSettings,
  to: { source: string; destination: string; remotePort: number; device: number },
): number {
  return candidates(settings, true).filter((port) => {
    const here = sockets.filter((socket) => socket.port === port)
    if (here.some(blocks)) return false
    return !here.some(
      (socket) =>
        socket.source === to.source &&
        socket.destination === to.destination &&
        socket.remotePort === to.remotePort &&
        (socket.device === 0 || socket.device === to.device) &&
        !recyclable(socket, settings),
    )
  }).length
}

/** How many bind(0)s to 0.0.0.0 or dual-stack :: would succeed. */
export function bindsLeft(
  sockets: readonly ReferenceSocket[],
  settings: NetSettings,
  on: { wildcard: '0.0.0.0' | '::'; tcp: boolean },
): number {
  return candidates(settings, on.tcp).filter(
    (port) =>
      !sockets.some(
        (socket) =>
          socket.port === port && (on.wildcard === '::' || isV4(socket.source) || !socket.v6only),
      ),
  ).length
}
