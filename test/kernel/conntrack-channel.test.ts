import { expect, test } from 'vitest'
import { openNetfilterChannel } from '../../src/kernel/conntrack-channel.ts'
import { createFakeLibc } from '../support/kernel/fake-libc.ts'

test('openNetfilterChannel() opens a socket of NETLINK_NETFILTER', () => {
  const libc = createFakeLibc([[1, 2, 3]])
  const buffer = new Uint8Array(8)
  const channel = openNetfilterChannel(libc, buffer)
  // AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER of include/uapi/linux/netlink.h.
  expect(libc.made).toEqual([[16, 3, 12]])
  channel.send(new Uint8Array(1))
  expect([...channel.receive()]).toEqual([1, 2, 3])
  expect([...buffer.subarray(0, 3)]).toEqual([1, 2, 3])
  channel.close()
  expect(libc.open.size).toBe(0)
})
