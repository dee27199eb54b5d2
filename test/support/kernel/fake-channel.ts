// A kernel made of bytes: answers each request with the datagrams that `reply` makes for it.

import { SystemError } from '../../../src/kernel/libc.ts'
import type { NetlinkChannel } from '../../../src/kernel/netlink-channel.ts'

/** The sequence number of a request. */
export function sequenceOf(request: Uint8Array): number {
  return new DataView(request.buffer, request.byteOffset).getUint32(8, true)
}

/** Once the datagrams have run out it times out, as the real one does. */
export function createFakeChannel(
  reply: (request: Uint8Array) => readonly Uint8Array[],
): NetlinkChannel & { readonly requests: Uint8Array[] } {
  let pending: Uint8Array[] = []
  const requests: Uint8Array[] = []
  return {
    requests,
    send(request) {
      requests.push(request)
      pending = [...reply(request)]
    },
    receive() {
      const next = pending.shift()
      if (next === undefined) throw new SystemError('recv', 11)
      return next
    },
    close() {},
  }
}
