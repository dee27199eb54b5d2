import { expect, test } from 'vitest'
import { SystemError } from '../../src/kernel/libc.ts'
import { dumpDatagrams, openNetlinkChannel } from '../../src/kernel/netlink-channel.ts'
import { createFakeLibc } from '../support/kernel/fake-libc.ts'
import { useStillClock } from '../support/kernel/still-clock.ts'

const clock = useStillClock()

/** A dump whose table grows as fast as it is read, a second each datagram. */
function dumpWithoutEnd(limitMs?: number): number {
  const libc = createFakeLibc(Array.from({ length: 100 }, () => [0]))
  const decode = () => {
    clock.nowMs += 1000
    return 'more' as const
  }
  const dump = { request: new Uint8Array(1), what: 'things', decode }
  const all = dumpDatagrams(openNetlinkChannel(libc, 4), limitMs ? { ...dump, limitMs } : dump)
  expect(() => [...all]).toThrow(
    expect.objectContaining({
      reason: 'timeout',
      message: 'Cannot read things from netlink: dump of things: ETIMEDOUT',
    }),
  )
  return clock.nowMs
}

test('a dump ends after 30 seconds, or after its own limit', () => {
  expect(dumpWithoutEnd()).toBe(31_000)
  clock.nowMs = 0
  expect(dumpWithoutEnd(5000)).toBe(6000)
})

test('openNetlinkChannel() sets a time-out of a second, and leaves nothing open where it cannot', () => {
  const options: unknown[] = []
  const libc = createFakeLibc([])
  openNetlinkChannel({ ...libc, setsockopt: (...option) => options.push(option) }, 4)
  const second = [1, 0, 0, 0, 0, 0, 0, 0, ...new Array(8).fill(0)]
  // SOL_SOCKET, SO_RCVTIMEO and struct timeval.
  expect(options).toEqual([[9, 1, 20, Uint8Array.from(second)]])
  const refusing = createFakeLibc([])
  const setsockopt = () => {
    throw new SystemError('setsockopt', 1)
  }
  expect(() => openNetlinkChannel({ ...refusing, setsockopt }, 4)).toThrow('setsockopt: EPERM')
  expect(refusing.open.size).toBe(0)
})
