import { statSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type Libc, openLibc } from '../../src/kernel/libc.ts'
import { openNamespaces } from '../../src/namespaces/open-namespaces.ts'
import { openSource } from '../../src/sources/sources.ts'
import { describeRows } from '../kernel/rows.ts'
import { buildError } from '../support/kernel/netlink-builder.ts'
import { withNetns } from '../support/netns/actor.ts'
import { whyNotLive } from '../support/netns/live.ts'

const ENOENT = 2
/** Of a request: nlmsghdr's type and sequence, and sdiag_protocol. */
const AT = { type: 4, sequence: 8, protocol: 17 }
const SOCK_DIAG_BY_FAMILY = 20
const IPPROTO_TCP = 6

/** The machine's libc, on a kernel that answers no question about TCP, as without the module tcp_diag. */
function forgetTcp(libc: Libc): Libc {
  const refused = new Map<number, number>()
  return {
    ...libc,
    send(fd, request) {
      const view = new DataView(request.buffer, request.byteOffset, request.byteLength)
      const isDiag = view.getUint16(AT.type, true) === SOCK_DIAG_BY_FAMILY
      if (isDiag && view.getUint8(AT.protocol) === IPPROTO_TCP) {
        refused.set(fd, view.getUint32(AT.sequence, true))
      } else libc.send(fd, request)
    },
    recv(fd, buffer) {
      const sequence = refused.get(fd)
      if (sequence === undefined) return libc.recv(fd, buffer)
      const answer = buildError(sequence, ENOENT)
      refused.delete(fd)
      buffer.set(answer)
      return answer.length
    },
  }
}

test('without tcp_diag another namespace is read from inside, with its own range', async (context) => {
  const skipReason = whyNotLive()
  if (skipReason !== undefined) return context.skip(skipReason)
  const libc = forgetTcp(await openLibc())
  const options = { procfs: '/proc', platform: 'linux', ownPort: undefined, everyNamespace: true }
  const { source, refusals } = await openSource('auto', { ...options, openLibc: async () => libc })
  expect(refusals.join()).toContain('tcp_diag is missing: modprobe tcp_diag')

  await withNetns(async (netns) => {
    await netns.call('setSysctls', { 'net.ipv4.ip_local_port_range': '40000 40009' })
    const server = { address: '127.0.0.1', port: 8001 }
    await netns.call('open', { bind: server, listen: 100 })
    await netns.call('open', { connect: server, count: 10 })
    const monotonicSeconds = () => performance.now() / 1000
    const namespaces = openNamespaces(source, { ...options, monotonicSeconds, libc })
    const { ino } = statSync(`/proc/${netns.pid}/ns/net`)
    const there = namespaces.list().find(({ inode }) => inode === ino)
    if (there === undefined) throw new Error('The namespace was not found')
    const seen = await namespaces.read(there, ({ reader, rangeOrigin, settings, batches }) => ({
      reader,
      rangeOrigin,
      range: settings.range,
      sockets: describeRows(batches).filter((row) => row.startsWith('tcp established')).length,
    }))
    expect(seen).toEqual({
      reader: 'procfs',
      rangeOrigin: 'sysctl',
      range: { first: 40_000, last: 40_009 },
      sockets: 10,
    })
  })
})
