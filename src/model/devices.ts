// Network devices that sockets are bound to: their names, and whether some of them are in a VRF, which has ports of its
// own.

import type { Device } from '../observation.ts'
import type { Destination, Destinations } from '../snapshot.ts'
import type { NumberTable } from './owners/ids.ts'

/**
 * Looks up devices of the namespace by index; undefined where that is not possible now. Those that have gone are left
 * out.
 */
export type ReadDevices = (indexes: readonly number[]) => ReadonlyMap<number, Device> | undefined

/** What one sample leaves for the next: devices of the sockets, not all there are. */
export interface DeviceMemory {
  readonly readAtSeconds: number
  readonly devices: ReadonlyMap<number, Device>
  /** Whether these are all that sockets are bound to. */
  readonly whole: boolean
  /** Whether the last look-up failed: then nothing new is known. */
  readonly failed: boolean
}

/**
 * A device may get another name, or join a VRF. A look-up that failed rests as long: it may have taken its full time.
 */
const BELIEVED_SECONDS = 60
/**
 * Bounds the devices that are looked up. A user who has a namespace of their own can make any number of devices, with
 * any indexes.
 */
const MOST_DEVICES = 1000

export function advanceDevices(
  before: DeviceMemory | undefined,
  used: NumberTable,
  context: { readonly read: ReadDevices | undefined; readonly atSeconds: number },
): DeviceMemory | undefined {
  const { read, atSeconds } = context
  const count = Math.min(used.count(), MOST_DEVICES)
  if (count === 0) return undefined
  const isAll = count === used.count()
  const indexes = Array.from({ length: count }, (_, at) => used.value(at))
  const isKnown = indexes.every((index) => before?.devices.has(index))
  const whole = isAll && (isKnown || before?.failed !== true)
  const isFresh = before !== undefined && atSeconds - before.readAtSeconds < BELIEVED_SECONDS
  if (isFresh && (isKnown || before.failed)) return { ...before, whole }
  if (read === undefined) return before && { ...before, whole }
  const all = read(indexes)
  if (all === undefined) {
    const known = before?.devices ?? new Map<number, Device>()
    return { readAtSeconds: atSeconds, devices: known, whole: isAll && isKnown, failed: true }
  }
  const devices = new Map<number, Device>()
  for (const index of indexes) {
    // One that has gone keeps its number.
    devices.set(index, all.get(index) ?? { name: String(index), vrf: false })
  }
  return { readAtSeconds: atSeconds, devices, whole: isAll, failed: false }
}

/** Whether some socket is, or may be, bound to a device whose ports are its own. */
export function hasVrf(memory: DeviceMemory | undefined): boolean {
  return (
    memory !== undefined && (!memory.whole || [...memory.devices.values()].some(({ vrf }) => vrf))
  )
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
