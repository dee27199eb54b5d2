// The netlink source against the kernel: what auto chooses, namespaces that are not ours, and a kernel without udp_diag.

import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Libc, openLibc, SystemError } from '../../src/kernel/libc.ts'
import { type NamespaceReading, SourceError } from '../../src/observation.ts'
import { openNetlinkSource } from '../../src/sources/netlink.ts'
import { openSource } from '../../src/sources/sources.ts'
import { describeRows } from '../kernel/rows.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { inNetnsOf } from '../support/netns/in-netns.ts'
import { whyNotExact, whyNotLive } from '../support/netns/live.ts'

const options = { procfs: '/proc', platform: 'linux', everyNamespace: false, ownPort: undefined }

/**
 * The kernel itself then says what it says of a protocol that no module registered for: UDP is asked for by a number that is
 * free for experiments (RFC 3692).
 */
function withoutUdpDiag(libc: Libc): Libc {
  return {
    ...libc,
    send(fd, bytes) {
      const request = Buffer.from(bytes)
      const modern = request.readUInt16LE(4) === 20
      if (modern && request.readUInt8(17) === 17) request.writeUInt8(253, 17)
      libc.send(fd, request)
    },
  }
}

/** What `libc` shows of the namespace; self-tested in our own, as the kernel is the same. */
async function readNetns(
  netns: Netns,
  libc: Libc,
): Promise<{ reading: Omit<NamespaceReading, 'batches'>; rows: string[] }> {
  const source = await openNetlinkSource(options, async () => libc)
  return inNetnsOf(libc, netns.pid, () => {
    const { batches, ...reading } = source.read() as NamespaceReading
    const rows = describeRows(batches).map((row) => row.replace(/ (uid|cgroup) \d+/g, ''))
    return { reading, rows: rows.sort() }
  })
}

async function openMix({ call }: Netns): Promise<string[]> {
  const v4 = { address: '127.0.0.1', port: 40_001 }
  const v6 = { address: '::1', port: 40_002 }
  await call('open', { protocol: 'udp', bind: v4 })
  await call('open', { protocol: 'udp', bind: v6 })
  const { locals } = await call('open', { protocol: 'udp', connect: v4 })
  // Outside of the range.
  await call('open', { protocol: 'udp', bind: { address: '127.0.0.1', port: 2000 } })
  // /proc/net/tcp would not show it.
  await call('open', { bind: { address: '127.0.0.1', port: 40_003 } })
  return [
    'tcp bound 127.0.0.1:40003 > 0.0.0.0:0',
    'udp bound 127.0.0.1:40001 > 0.0.0.0:0',
    'udp bound [::1]:40002 > [::]:0',
    `udp established 127.0.0.1:${locals[0]?.port} > 127.0.0.1:40001`,
  ]
}

const withoutFlags = (rows: readonly string[]) => rows.map((row) => row.replace(/ v6only$/, ''))

test('read() takes UDP from /proc where there is no udp_diag, and TCP from netlink all the same', async (ctx) => {
  ctx.skip(whyNotExact() !== undefined, whyNotExact())
  await withNetns(async (netns) => {
    const expected = await openMix(netns)
    const libc = await openLibc()
    const whole = await readNetns(netns, libc)
    const lacking = await readNetns(netns, withoutUdpDiag(libc))
    expect(withoutFlags(whole.rows)).toEqual(expected)
    expect(withoutFlags(lacking.rows)).toEqual(expected)
    expect(whole.reading).toMatchObject({ exactness: 'exact', udpListenersKnown: true })
    expect(lacking.reading).toMatchObject({
      exactness: 'exact',
      protocols: ['tcp', 'udp'],
      tcpBoundKnown: true,
      udpListenersKnown: false,
    })
  })
})

test('read() leaves no descriptor behind, however the reading ends', async (ctx) => {
  ctx.skip(whyNotExact() !== undefined, whyNotExact())
  await withNetns(async (netns) => {
    await openMix(netns)
    const libc = await openLibc()
    let left = Number.POSITIVE_INFINITY
    const failing: Libc = {
      ...libc,
      recv(fd, buffer) {
        if (left-- === 0) throw new SystemError('recv', 105)
        return libc.recv(fd, buffer)
      },
    }
    const source = await openNetlinkSource(options, async () => failing)
    const openFiles = () => readdirSync('/proc/self/fd').length
    inNetnsOf(libc, netns.pid, () => {
      const before = openFiles()
      let seen = 0
      let openMeanwhile = 0
      for (const _batch of (source.read() as NamespaceReading).batches) {
        seen++
        openMeanwhile = openFiles()
        break
      }
      expect([seen, openMeanwhile, openFiles()]).toEqual([1, before + 1, before])
      left = 1
      expect(() => describeRows((source.read() as NamespaceReading).batches)).toThrow(SourceError)
      expect(openFiles()).toBe(before)
    })
  })
})

test("openSource('auto') takes netlink on Linux", async (ctx) => {
  ctx.skip(whyNotLive() !== undefined, whyNotLive())
  const { source, refusals } = await openSource('auto', options)
  expect(source.reader).toBe('netlink')
  expect(refusals).toEqual([])
})

test("openSource('auto') takes procfs for a foreign namespace, and tells what netlink said", async (ctx) => {
  ctx.skip(whyNotLive() !== undefined, whyNotLive())
  await withNetns(async (netns) => {
    await netns.call('open', { bind: { address: '127.0.0.1', port: 40_001 }, listen: 1 })
    const procfs = mkdtempSync(join(tmpdir(), 'procfs-'))
    try {
      mkdirSync(join(procfs, '1'))
      symlinkSync(`/proc/${netns.pid}/net`, join(procfs, '1/net'))
      symlinkSync('/proc/sys', join(procfs, 'sys'))
      const { source, refusals } = await openSource('auto', { ...options, procfs })
      expect(source.reader).toBe('procfs')
      expect(refusals).toEqual([
        `netlink: Cannot use netlink: ${procfs}/1/net is not of our own network namespace`,
      ])
      const { batches, rangeOrigin } = await source.read()
      expect(describeRows(batches)).toEqual(['tcp listen 127.0.0.1:40001 > 0.0.0.0:0'])
      expect(rangeOrigin).toBe('default')
    } finally {
      rmSync(procfs, { recursive: true })
    }
  })
})
