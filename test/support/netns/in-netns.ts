// Runs a synchronous function in the network namespace of another process, by the product's own libc.

import { closeSync, openSync } from 'node:fs'
import type { Libc } from '../../../src/kernel/libc.ts'

/** NB: synchronous, so that nothing else runs in the namespace; paths must go through /proc/thread-self or /proc/sys. */
export function inNetnsOf<T>(libc: Libc, pid: number, call: () => T): T {
  const home = openSync('/proc/thread-self/ns/net', 'r')
  try {
    const there = openSync(`/proc/${pid}/ns/net`, 'r')
    try {
      libc.setns(there)
      return call()
    } finally {
      closeSync(there)
      libc.setns(home)
    }
  } finally {
    closeSync(home)
  }
}
