// Network devices that sockets are bound to: their names, and whether some of them are in a VRF, which has ports of its own.

import type { Device } from '../observation.ts'
import type { Destination, Destinations } from '../snapshot.ts'

/** Lists the devices of the namespace by index; undefined where that is not possible now. */
export type ReadDevices = () => ReadonlyMap<number, Device> | undefined

/** What one sample leaves for the next: devices of the sockets, not all there are. */
export interface DeviceMemory {
  readonly readAtSeconds: number
  readonly devices: ReadonlyMap<number, Device>
}

/** A device may get another name, or join a VRF. */
const BELIEVED_SECONDS = 60

export function advanceDevices(
  before: DeviceMemory | undefined,
  used: ReadonlySet<number>,
  context: { readonly read: ReadDevices | undefined; readonly atSeconds: number },
): DeviceMemory | undefined {
  const { read, atSeconds } = context
  if (used.size === 0) return undefined
  const isFresh = before !== undefined && atSeconds - before.readAtSeconds < BELIEVED_SECONDS
  if (isFresh && [...used].every((index) => before.devices.has(index))) return before
  const all = read?.()
  if (all === undefined) return before
  const devices = new Map<number, Device>()
  for (const index of used) {
    // One that has gone keeps its number.
    devices.set(index, all.get(index) ?? { name: String(index), vrf: false })
  }
  return { readAtSeconds: atSeconds, devices }
}

export function hasVrf(memory: DeviceMemory | undefined): boolean {
  return [...(memory?.devices.values() ?? [])].some(({ vrf }) => vrf)
}

/** Puts the name of the device in the place of its index, where it is known. */
export function nameDevice<T extends Destination>(named: T, memory: DeviceMemory | undefined): T {
  const [address = '', index] = named.source.split('%')
  const device = index === undefined ? undefined : memory?.devices.get(Number(index))
  return device === undefined ? named : { ...named, source: `${address}%${device.name}` }
}

export function nameDevices(
  destinations: Destinations,
  memory: DeviceMemory | undefined,
): Destinations {
  if (memory === undefined) return destinations
  return { ...destinations, rows: destinations.rows.map((row) => nameDevice(row, memory)) }
}
