// What is known of a network namespace without listing its sockets: from outside, and from inside.

import type { MakerUid } from '../kernel/user-namespaces.ts'

/** A network namespace, and how to get at it. */
export interface NetNamespace {
  /** Given once. */
  readonly id: number
  /** The one the calling thread is in. */
  readonly own: boolean
  /** Whether it is that of PID 1 of a procfs that is not our own PID namespace's. */
  readonly ofInit: boolean
  /** Inode of its /proc/<pid>/ns/net, undefined where that may not be looked at. */
  readonly inode: number | undefined
  /** Inode of its /proc/<pid>/net/tcp, the same in every procfs. */
  readonly netInode: number | undefined
  readonly cookie: bigint | undefined
  /** Undefined where that is not known, as without the right to look into the namespace. */
  readonly makerUid: MakerUid | undefined
  /** Processes in it, the one that it is known by first. */
  readonly pids: readonly number[]
  /** Age of the first of them. */
  readonly processAgeSeconds: number | undefined
  /** Tells with the inode this namespace from earlier ones, where there is no cookie. */
  readonly bornSeconds: number | undefined
  /** What iproute2 or a runtime calls it, if anything. */
  readonly names: readonly string[]
  /** When the namespace was made, by the file of the first name; whole Unix seconds. */
  readonly madeSeconds?: number | undefined
  /** Files that setns() may be given, the one that takes the least rights first. */
  readonly entrances: readonly string[]
}

/** What only a thread inside can see. */
export interface InsideView {
  /** Inode of /proc/thread-self/ns/net. */
  readonly inode: number | undefined
  readonly cookie: bigint | undefined
  /** Inode of /proc/thread-self/net/tcp. */
  readonly netInode: number | undefined
  /** The maker that NetNamespace tells. */
  readonly makerUid: MakerUid | undefined
}
