// Who made a network namespace: it belongs to a user namespace, that to its parent, and each of them to the user who
// made it (ioctl_ns(2), user_namespaces(7)). The outermost one was made by a user as our own user namespace knows
// users, which nobody can forge: ids that newuidmap(1) grants exist inside only.

import { closeSync, fstatSync, openSync, statSync } from 'node:fs'
import { arch } from 'node:os'
import { codeOf } from '../error-code.ts'
import type { Libc } from './libc.ts'

/** _IO(NSIO, number) of include/uapi/linux/nsfs.h, Linux 4.11; powerpc writes "no argument" as a bit of its own. */
const NSIO = (arch() === 'ppc64' ? 0x2000_0000 : 0) + 0xb700
const NS_GET_USERNS = NSIO + 1
const NS_GET_PARENT = NSIO + 2
const NS_GET_OWNER_UID = NSIO + 4
/** One more than user namespaces may be nested (kernel/user_namespace.c:create_user_ns). */
const DEEPEST = 34

/** The user who made a namespace in a user namespace of their own; `privileged`: its maker had rights in ours. */
export type MakerUid = number | 'privileged'

/**
 * Tells of the network namespace that the calling thread is in: the user who made the outermost user namespace that it
 * belongs to below our own. Undefined where the kernel does not tell.
 */
export function readMakerUid(libc: Libc): MakerUid | undefined {
  try {
    const own = statSync('/proc/thread-self/ns/user').ino
    const fd = openSync('/proc/thread-self/ns/net', 'r')
    try {
      return climb(libc, libc.ioctl(fd, NS_GET_USERNS), own)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (codeOf(error) !== undefined) return undefined
    throw error
  }
}

/** Closes `first`, and whatever it opens. */
function climb(libc: Libc, first: number, own: number): MakerUid | undefined {
  let fd = first
  let uid: number | undefined
  try {
    for (let depth = 0; depth < DEEPEST; depth++) {
      if (fstatSync(fd).ino === own) return uid ?? 'privileged'
      const value = new Uint8Array(Uint32Array.BYTES_PER_ELEMENT)
      libc.ioctl(fd, NS_GET_OWNER_UID, value)
      ;[uid] = new Uint32Array(value.buffer)
      const parent = libc.ioctl(fd, NS_GET_PARENT)
      libc.close(fd)
      fd = parent
    }
    return undefined
  } finally {
    libc.close(fd)
  }
}
