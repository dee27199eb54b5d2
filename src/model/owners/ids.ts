// Who holds a socket, as a number: cgroup id or uid of a row -> a small index of this census, and back. Names come
// later.

import { FLAG, type SocketBatch, STATE } from '../../observation.ts'
import { createSeededHash } from '../seeded-hash.ts'

/** Stand for an owner in place of an id, which is never negative. */
export const OWNERLESS_ID = -2
export const UNKNOWN_ID = -1

/** Stands for the kernel itself. */
export const KERNEL_ID = -3

/**
 * The ids from here down stand for users: of sockets in the root cgroup, which is nobody's, or whose cgroup is not
 * told.
 */
const FIRST_USER_ID = -4

/** The id of a user among those of cgroups. */
export function userIdOf(uid: number): number {
  return FIRST_USER_ID - uid
}

/** The uid behind such an id; undefined for all others. */
export function uidOf(id: number): number | undefined {
  return id <= FIRST_USER_ID ? FIRST_USER_ID - id : undefined
}

/** The index of that one in every table of owners. */
export const OWNERLESS = 0

/** Added to the index of a port's holder when no connection can contend with it. */
export const FIXED = 2 ** 30

/**
 * The root of the tree, which is also what a process reports that only cgroup v1 has put somewhere
 * (docs/development/port-model.md#threads-identity-and-owners).
 */
const ROOT_CGROUP_ID = 1

export type OwnersBy = 'cgroup' | 'user'

/** Distinct numbers by the order in which they were first asked for. Integers up to 2^53 either way. */
export interface NumberTable {
  clear(): void
  count(): number
  /** The index of the number, added when new. */
  index(value: number): number
  /** The index of the number, -1 when it is not there. */
  find(value: number): number
  value(index: number): number
}

const INITIAL_ROWS = 64
const SLOTS_PER_ROW = 4

/** One secret for all tables: some are made for each sample, and a secret takes longer to draw than they to fill. */
const hash = createSeededHash(2)

/**
 * Open addressing over typed arrays: 100,000 look-ups make no object. A KeyTable of two words could hold the numbers as
 * well, but took 30 % longer for the sockets of twenty owners.
 */
export function createNumberTable(): NumberTable {
  /** The low and the high half of the number that is looked for. */
  const halves = new Uint32Array(2)
  let values = new Float64Array(INITIAL_ROWS)
  let slots = new Int32Array(INITIAL_ROWS * SLOTS_PER_ROW)
  let count = 0
  // Sockets of one owner often follow one another.
  let lastValue = Number.NaN
  let lastIndex = 0

  /** The slot that holds the value, or the free one where it belongs. Slots hold index + 1, 0 is free. */
  function slotOf(value: number): number {
    const mask = slots.length - 1
    halves[0] = value
    halves[1] = Math.floor(value / 2 ** 32)
    for (let slot = hash(halves, 0) & mask; ; slot = (slot + 1) & mask) {
      const index = (slots[slot] ?? 0) - 1
      if (index < 0 || values[index] === value) return slot
    }
  }

  function grow(): void {
    const grown = new Float64Array(values.length * 2)
    grown.set(values)
    values = grown
    slots = new Int32Array(values.length * SLOTS_PER_ROW)
    for (let index = 0; index < count; index++) slots[slotOf(values[index] ?? 0)] = index + 1
  }

  return {
    clear() {
      slots.fill(0)
      count = 0
      lastValue = Number.NaN
    },
    count: () => count,
    index(value) {
      if (value === lastValue) return lastIndex
      const slot = slotOf(value)
      let index = (slots[slot] ?? 0) - 1
      if (index < 0) {
        index = count++
        values[index] = value
        slots[slot] = index + 1
        if (count === values.length) grow()
      }
      lastValue = value
      lastIndex = index
      return index
    },
    find: (value) => (slots[slotOf(value)] ?? 0) - 1,
    value: (index) => values[index] ?? UNKNOWN_ID,
  }
}

/** Empties a table of owners: then it holds the one that has no id, at its index. */
export function clearOwners(owners: NumberTable): void {
  owners.clear()
  owners.index(OWNERLESS_ID)
}

/**
 * The index of the row's owner. The kernel gives minisocks and requests none: cgroup 0, uid 0
 * (docs/development/port-model.md#what-can-be-seen). The user owns what is in the root cgroup, and what was read from
 * /proc, which tells no cgroup.
 */
export function takeOwner(
  owners: NumberTable,
  by: OwnersBy | 'kernel',
  batch: SocketBatch,
  row: number,
): number {
  if (by === 'kernel') return owners.index(KERNEL_ID)
  const id = by === 'cgroup' ? (batch.cgroupId[row] ?? 0) : 0
  if (id > ROOT_CGROUP_ID) return owners.index(id)
  const state = batch.state[row]
  const minisock = ((batch.flags[row] ?? 0) & FLAG.minisock) !== 0
  if (minisock || state === STATE.timeWait || state === STATE.synRecv) return OWNERLESS
  const uid = batch.uid[row] ?? 0
  return owners.index(by === 'user' ? uid : userIdOf(uid))
}

/**
 * Which of several owners a port counts for: the one whose claim on it is highest. A hash, so that they share their
 * common ports evenly, that the order of sockets does not matter, and that a port keeps its owner while the sockets
 * stay.
 */
export function claimOn(port: number, salt: number): number {
  let hash = Math.imul(salt ^ Math.imul(port + 1, 0x9e3779b1), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

export function hashNumber(value: number): number {
  const high = Math.floor(value / 2 ** 32)
  const hash = Math.imul((value >>> 0) ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1)
  return (hash ^ (hash >>> 15)) >>> 0
}

/** Whether the claim of the first id on a port is the higher one. Of equal claims the higher id wins. */
export function outclaims(port: number, id: number, rival: number): boolean {
  const difference = claimOn(port, hashNumber(id)) - claimOn(port, hashNumber(rival))
  return difference > 0 || (difference === 0 && id > rival)
}

/** Notes an owner of a socket that closes the port, unless another has the higher claim on it. */
export function noteHolder(
  table: NumberTable,
  holder: Uint32Array,
  port: number,
  owner: number,
): void {
  const rival = (holder[port] ?? OWNERLESS) & ~FIXED
  if (rival === OWNERLESS || outclaims(port, table.value(owner), table.value(rival))) {
    holder[port] = owner | FIXED
  }
}
