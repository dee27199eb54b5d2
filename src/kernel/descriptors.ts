// The descriptors a worker opened through libc survive its death
// (docs/development/port-model.md#threads-identity-and-owners): it notes them in memory that the main thread shares,
// which closes what is left once the worker has ended.

import { closeSync } from 'node:fs'
import type { Libc } from './libc.ts'

/** Descriptors plus one, so that 0 is a free place. */
export type DescriptorLedger = Int32Array<SharedArrayBuffer>

/** More than a worker ever has open at once. */
const PLACES = 16

export function createDescriptorLedger(): DescriptorLedger {
  return new Int32Array(new SharedArrayBuffer(PLACES * Int32Array.BYTES_PER_ELEMENT))
}

/** Wraps libc so that it notes what is open. */
export function noteDescriptors(libc: Libc, ledger: DescriptorLedger): Libc {
  const note = (fd: number): number => {
    const free = ledger.indexOf(0)
    if (free >= 0) Atomics.store(ledger, free, fd + 1)
    return fd
  }
  return {
    ...libc,
    socket: (...args) => note(libc.socket(...args)),
    bpf: (...args) => note(libc.bpf(...args)),
    ioctl: (fd, request, value) => {
      const result = libc.ioctl(fd, request, value)
      return value === undefined ? note(result) : result
    },
    close: (fd) => {
      const place = ledger.indexOf(fd + 1)
      if (place >= 0) Atomics.store(ledger, place, 0)
      libc.close(fd)
    },
  }
}

/** Closes what a worker left open, and returns how many that were. Call it when the worker has ended, and only then. */
export function closeNotedDescriptors(ledger: DescriptorLedger): number {
  let closed = 0
  ledger.forEach((noted, place) => {
    if (noted === 0) return
    ledger[place] = 0
    try {
      closeSync(noted - 1)
      closed++
    } catch {
      // A number that is not open any more must not keep the others from being closed.
    }
  })
  return closed
}
