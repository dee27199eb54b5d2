import { closeSync, fstatSync, openSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describe, expect, test } from 'vitest'
import {
  closeNotedDescriptors,
  createDescriptorLedger,
  noteDescriptors,
} from '../../src/kernel/descriptors.ts'
import type { Libc } from '../../src/kernel/libc.ts'
import { createFakeKernel } from '../support/kernel/fake-kernel.ts'

/** A libc whose sockets are real descriptors of this process, on a directory. */
function createRealDescriptors(): Libc {
  return {
    ...createFakeKernel(),
    socket: () => openSync(tmpdir(), 'r'),
    bpf: () => openSync(tmpdir(), 'r'),
    close: closeSync,
  }
}

const isOpen = (fd: number) => {
  try {
    fstatSync(fd)
    return true
  } catch {
    return false
  }
}

describe('closeNotedDescriptors()', () => {
  test('closes what was left open and counts it, once', () => {
    const ledger = createDescriptorLedger()
    const libc = noteDescriptors(createRealDescriptors(), ledger)
    const left = [libc.socket(0, 0, 0), libc.bpf(5, new Uint8Array(8))]
    expect(left.map(isOpen)).toEqual([true, true])
    expect(closeNotedDescriptors(ledger)).toBe(2)
    expect(left.map(isOpen)).toEqual([false, false])
    expect(closeNotedDescriptors(ledger)).toBe(0)
  })

  test('takes what ioctl() returns for a descriptor unless it has filled a value', () => {
    const ledger = createDescriptorLedger()
    const open = openSync(tmpdir(), 'r')
    const libc = noteDescriptors({ ...createRealDescriptors(), ioctl: () => open }, ledger)
    libc.ioctl(1, 2, new Uint8Array(4))
    expect(closeNotedDescriptors(ledger)).toBe(0)
    expect(libc.ioctl(1, 2)).toBe(open)
    expect(closeNotedDescriptors(ledger)).toBe(1)
    expect(isOpen(open)).toBe(false)
  })

  test('leaves alone a number that was closed and is now of another file', () => {
    const ledger = createDescriptorLedger()
    const libc = noteDescriptors(createRealDescriptors(), ledger)
    const fd = libc.socket(0, 0, 0)
    libc.close(fd)
    expect(isOpen(fd)).toBe(false)
    const strangers: number[] = []
    while (!strangers.includes(fd)) strangers.push(openSync(tmpdir(), 'r'))
    expect(closeNotedDescriptors(ledger)).toBe(0)
    expect(strangers.map(isOpen)).toEqual(strangers.map(() => true))
    for (const one of strangers) closeSync(one)
  })

  test('closes the others when one is not open any more', () => {
    const ledger = createDescriptorLedger()
    const libc = noteDescriptors(createRealDescriptors(), ledger)
    const [first, second] = [libc.socket(0, 0, 0), libc.socket(0, 0, 0)]
    closeSync(first)
    expect(closeNotedDescriptors(ledger)).toBe(1)
    expect(isOpen(second)).toBe(false)
  })
})

describe('noteDescriptors()', () => {
  test('hands every call on, and its result back', () => {
    const kernel = createFakeKernel()
    const libc = noteDescriptors(kernel, createDescriptorLedger())
    const fd = libc.socket(2, 1, 0)
    expect([...kernel.openSockets.keys()]).toEqual([fd])
    libc.bind(fd, Uint8Array.of(2, 0, 0x9c, 0x40))
    expect(kernel.boundPorts).toEqual([40_000])
    libc.close(fd)
    expect(kernel.openSockets.size).toBe(0)
  })

  test('notes descriptor 0 too, and uses a place again that is free', () => {
    const ledger = createDescriptorLedger()
    let next = 0
    const libc = noteDescriptors(
      { ...createFakeKernel(), socket: () => next++, close: () => {} },
      ledger,
    )
    expect(libc.socket(0, 0, 0)).toBe(0)
    libc.socket(0, 0, 0)
    expect([...ledger].filter((noted) => noted > 0)).toEqual([1, 2])
    libc.close(0)
    libc.socket(0, 0, 0)
    expect([...ledger].filter((noted) => noted > 0)).toEqual([3, 2])
  })

  test('still opens and closes where more are open than it has places for', () => {
    const kernel = createFakeKernel()
    const ledger = createDescriptorLedger()
    const libc = noteDescriptors(kernel, ledger)
    const fds = Array.from(ledger, () => libc.socket(2, 1, 0))
    const noted = [...ledger]
    expect(noted).toEqual(fds.map((fd) => fd + 1))
    const beyond = libc.socket(2, 1, 0)
    expect([...ledger]).toEqual(noted)
    libc.close(beyond)
    expect([...ledger]).toEqual(noted)
    expect(kernel.openSockets.size).toBe(fds.length)
  })
})
