// Runs a synchronous function in a network namespace made for it, which ends with it.

import { closeSync, openSync } from 'node:fs'
import { CLONE_NEWNET, check, type Libc, openLibc } from '../support/kernel/libc.ts'
import { enterFreshNetns } from '../support/netns/netns.ts'

/** NB: synchronous, so that nothing else runs in the namespace; paths must go through /proc/thread-self. */
export function inFreshNetns<T>(call: (libc: Libc) => T): T {
  const libc = openLibc()
  const home = openSync('/proc/thread-self/ns/net', 'r')
  try {
    enterFreshNetns(libc)
    return call(libc)
  } finally {
    check('return to the own network namespace', libc.setns(home, CLONE_NEWNET))
    closeSync(home)
  }
}
