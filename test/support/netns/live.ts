// Whether this machine can make real sockets in throwaway namespaces, asked by every live test before it starts.

import { closeSync, existsSync, openSync } from 'node:fs'
import { release } from 'node:os'
import { CLONE_NEWNET, check, type Libc, openLibc } from '../kernel/libc.ts'
import { furnishNetns, unshareNetns } from './netns.ts'

/** The reason for `ctx.skip(reason)`, or undefined where live tests can run. */
export function whyNotLive(): string | undefined {
  if (process.platform !== 'linux') return `needs Linux, this is ${process.platform}`
  if (process.getuid?.() !== 0) return 'needs root, for network namespaces'
  if (!existsSync('/proc/sys/net/ipv6')) return 'needs IPv6 in the kernel'
  try {
    tryFreshNetns(openLibc())
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Kernels before 6.8 do not list sockets that are bound and nothing else, so that exact predictions are impossible. */
export function whyNotExact(): string | undefined {
  const [major = 0, minor = 0] = release().split('.').map(Number)
  const known = major > 6 || (major === 6 && minor >= 8)
  return known ? whyNotLive() : `needs Linux 6.8 to see bound sockets, this is ${release()}`
}

// Synchronous from start to end, so that nothing else runs in the foreign namespace. The path names that of the calling
// thread.
function tryFreshNetns(libc: Libc): void {
  const home = openSync('/proc/thread-self/ns/net', 'r')
  try {
    unshareNetns(libc)
    try {
      furnishNetns(libc)
    } finally {
      check('return to the own network namespace', libc.setns(home, CLONE_NEWNET))
    }
  } finally {
    closeSync(home)
  }
}
