import { closeSync, openSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { SystemError } from '../../src/kernel/libc.ts'
import { type MakerUid, readMakerUid } from '../../src/kernel/user-namespaces.ts'
import { createFakeLibc } from '../support/kernel/fake-libc.ts'

/** Of include/uapi/linux/nsfs.h. */
const [GET_USERNS, GET_PARENT, GET_OWNER_UID] = [0xb701, 0xb702, 0xb704]
const OWN = '/proc/self/ns/user'
const REFUSED = 'a refusal'

/** A kernel in which the namespace belongs to user namespaces of these makers, the innermost first, and then to `last`. */
function createKernel(makers: readonly number[], last: string) {
  const open = new Set<number>()
  let at = -1
  return {
    ...createFakeLibc([]),
    open,
    ioctl(_fd: number, request: number, value?: Uint8Array) {
      const number = request & 0xffff
      if (number === GET_OWNER_UID) {
        value?.set(new Uint8Array(Uint32Array.of(makers[at] ?? 0).buffer))
        return 0
      }
      expect(number).toBe(at < 0 ? GET_USERNS : GET_PARENT)
      at++
      const path = at < makers.length ? '/dev/null' : last
      if (path === REFUSED) throw new SystemError('ioctl', 1)
      const fd = openSync(path, 'r')
      open.add(fd)
      return fd
    },
    close(fd: number) {
      open.delete(fd)
      closeSync(fd)
    },
  }
}

describe.runIf(process.platform === 'linux')('readMakerUid()', () => {
  test.each<[readonly number[], string, MakerUid | undefined]>([
    [[], OWN, 'privileged'],
    [[1000], OWN, 1000],
    [[5, 70_000], OWN, 70_000],
    [[1000, 2000], REFUSED, undefined],
    [new Array(33).fill(9), OWN, 9],
    [new Array(34).fill(9), OWN, undefined],
  ])('of makers %j and then %s is %s, and leaves nothing open', (makers, last, maker) => {
    const kernel = createKernel(makers, last)
    expect(readMakerUid(kernel)).toBe(maker)
    expect(kernel.open.size).toBe(0)
  })
})
