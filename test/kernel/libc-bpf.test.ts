// The number of bpf(2) on processors that this machine does not have.

import { afterEach, expect, test, vi } from 'vitest'
import { openLibc } from '../../src/kernel/libc.ts'

const calls: unknown[][] = []
let processor = ''

vi.mock('node:os', async (importOriginal) => ({
  ...(await importOriginal<typeof import('node:os')>()),
  arch: () => processor,
}))
vi.mock('koffi', () => ({
  default: {
    load: () => ({
      func:
        (prototype: string) =>
        (...given: unknown[]) => {
          calls.push([prototype.split(' ')[1]?.split('(')[0], ...given])
          return 7
        },
    }),
    errno: () => 0,
    address: () => 0x1234_5678n,
  },
}))
afterEach(() => void calls.splice(0))

// arch/*/entry/syscalls/*.tbl, and include/uapi/asm-generic/unistd.h for those that have no table of their own.
test.each([
  ['arm', 386],
  ['arm64', 280],
  ['ia32', 357],
  ['loong64', 280],
  ['ppc64', 361],
  ['riscv64', 280],
  ['x64', 321],
])('bpf() of %s is system call %i', async (name, number) => {
  processor = name
  const attributes = new Uint8Array(16)
  expect((await openLibc()).bpf(5, attributes, [[8, new Uint8Array(4)]])).toBe(7)
  expect(calls).toEqual([['syscall', number, 5, attributes, 16]])
  expect([...attributes]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0x78, 0x56, 0x34, 0x12, 0, 0, 0, 0])
})

test('bpf() is ENOSYS on any other', async () => {
  processor = 's390x'
  const libc = await openLibc()
  expect(() => libc.bpf(5, new Uint8Array(16))).toThrow('bpf: ENOSYS')
  expect(calls).toEqual([])
})
