import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Libc, SystemError } from '../../src/kernel/libc.ts'
import { DecodeError } from '../../src/observation.ts'
import { openNetlinkSource } from '../../src/sources/netlink.ts'
import type { SourceOptions } from '../../src/sources/source.ts'
import { describeRows } from '../kernel/rows.ts'
import { createFakeKernel } from '../support/kernel/fake-kernel.ts'

const recorded = fileURLToPath(new URL('../fixtures/proc/dual-stack', import.meta.url))
const onLinux = test.runIf(process.platform === 'linux')
const sourceError = (reason: string) => expect.objectContaining({ name: 'SourceError', reason })
const mustNotLoad = async (): Promise<Libc> => {
  throw new Error('libc was loaded')
}

/** Ours by its sockets, with the recorded settings: range 40000 to 40999. */
let procfs = ''
beforeEach(() => {
  procfs = mkdtempSync(join(tmpdir(), 'procfs-'))
  cpSync(join(recorded, 'sys'), join(procfs, 'sys'), { recursive: true })
  mkdirSync(join(procfs, '1'))
  symlinkSync('/proc/thread-self/net', join(procfs, '1/net'))
})
afterEach(() => rmSync(procfs, { recursive: true }))

function open(kernel: Libc, changes: Partial<SourceOptions> = {}) {
  const options = {
    procfs,
    platform: 'linux',
    everyNamespace: false,
    ownPort: undefined,
    ...changes,
  }
  return openNetlinkSource(options, async () => kernel)
}

describe('openNetlinkSource()', () => {
  test.each(['darwin', 'win32', 'freebsd'])('refuses %s before it loads anything', async (name) => {
    const opened = openNetlinkSource(
      { procfs: '/proc', platform: name, everyNamespace: false, ownPort: undefined },
      mustNotLoad,
    )
    await expect(opened).rejects.toThrow(`Cannot use netlink on ${name}: it is Linux' own`)
    await expect(opened).rejects.toEqual(sourceError('unsupported'))
  })

  test('refuses a recorded tree, of which the kernel knows nothing', async () => {
    const opened = openNetlinkSource(
      { procfs: recorded, platform: 'linux', everyNamespace: false, ownPort: undefined },
      mustNotLoad,
    )
    await expect(opened).rejects.toThrow(
      `Cannot use netlink: ${recorded}/net is not of our own network namespace`,
    )
    await expect(opened).rejects.toEqual(sourceError('unsupported'))
  })

  test('refuses the /proc of a PID 1 in another network namespace', async () => {
    rmSync(join(procfs, '1/net'))
    cpSync(join(recorded, 'net'), join(procfs, '1/net'), { recursive: true })
    const opened = openNetlinkSource(
      { procfs, platform: 'linux', everyNamespace: false, ownPort: undefined },
      mustNotLoad,
    )
    await expect(opened).rejects.toThrow(`${procfs}/1/net is not of our own network namespace`)
  })

  onLinux('takes the /proc of a PID 1 in our own network namespace', async () => {
    const { reader } = await open(createFakeKernel())
    expect(reader).toBe('netlink')
  })

  onLinux('says why libc cannot be loaded', async () => {
    const opened = openNetlinkSource(
      { procfs, platform: 'linux', everyNamespace: false, ownPort: undefined },
      mustNotLoad,
    )
    await expect(opened).rejects.toThrow('Cannot load koffi, which netlink needs: libc was loaded')
    await expect(opened).rejects.toEqual(sourceError('unsupported'))
  })

  onLinux.each([
    { errno: 1, code: 'EPERM', reason: 'permission' },
    { errno: 24, code: 'EMFILE', reason: 'exhausted' },
    { errno: 93, code: 'EPROTONOSUPPORT', reason: 'unsupported' },
  ])('says $reason when socket() fails with $code', async ({ errno, code, reason }) => {
    const kernel = createFakeKernel()
    const opened = open({
      ...kernel,
      socket: () => {
        throw new SystemError('socket', errno)
      },
    })
    await expect(opened).rejects.toEqual(sourceError(reason))
    await expect(opened).rejects.toThrow(`Cannot use netlink: socket: ${code}`)
  })

  onLinux('leaves nothing open when the self-test fails', async () => {
    const kernel = createFakeKernel({ tcpDiag: 'refuses' })
    await expect(open(kernel)).rejects.toEqual(sourceError('unsupported'))
    expect(kernel.openSockets.size).toBe(0)
  })

  onLinux.each([
    { lacks: {}, exactness: 'exact', tcpBoundKnown: true, udpListenersKnown: true },
    {
      lacks: { udpDiag: false },
      exactness: 'exact',
      tcpBoundKnown: true,
      tcpChoiceKnown: true,
      udpListenersKnown: false,
    },
    {
      lacks: { boundIdle: false },
      exactness: 'upper_bound',
      tcpBoundKnown: false,
      tcpChoiceKnown: true,
      udpListenersKnown: true,
    },
    {
      lacks: { portChoice: 'blind' as const },
      exactness: 'upper_bound',
      tcpBoundKnown: false,
      tcpChoiceKnown: false,
      udpListenersKnown: false,
    },
  ])('claims no more than the kernel tells when it lacks $lacks', async ({ lacks, ...claims }) => {
    const source = await open(createFakeKernel(lacks))
    expect(source.traits).toEqual({
      exactness: claims.exactness,
      bound_idle: !('boundIdle' in lacks),
      port_choice: !('portChoice' in lacks),
      legacy_walk: true,
      udp_diag: !('udpDiag' in lacks),
      cgroup_id: true,
      ports_reopen: expect.any(Boolean),
    })
    expect(await source.read()).toMatchObject({
      reader: 'netlink',
      readerIsExact: true,
      netns: 'host',
      rangeOrigin: 'sysctl',
      protocols: ['tcp', 'udp'],
      settings: { range: { first: 40_000, last: 40_999 } },
      ...claims,
    })
  })
})

describe('read() of netlink', () => {
  const held = [40_500, 40_501, 40_502]

  /** A source over a kernel that holds sockets on those ports and on one outside the range; `recv` may be spoilt. */
  async function openHolding(spoil: (call: number, buffer: Uint8Array) => void = () => {}) {
    const kernel = createFakeKernel()
    let received = 0
    let channels = 0
    let spoilt = false
    const source = await open({
      ...kernel,
      socket: (domain, type, protocol) => {
        if (domain === 16) channels++
        return kernel.socket(domain, type, protocol)
      },
      recv: (fd, buffer) => {
        const length = kernel.recv(fd, buffer)
        if (spoilt) spoil(++received, buffer)
        return length
      },
    })
    for (const port of [...held, 30_000]) {
      kernel.bind(kernel.socket(2, 1, 0), Uint8Array.of(2, 0, port >> 8, port & 0xff))
    }
    channels = 0
    spoilt = true
    return {
      batches: (await source.read()).batches,
      channels: () => channels,
      left: () => kernel.openSockets.size - held.length - 1,
    }
  }

  onLinux('opens one channel for all dumps, and closes it in the end', async () => {
    const { batches, channels, left } = await openHolding()
    expect([channels(), left()]).toEqual([0, 0])
    expect(describeRows(batches).map((row) => row.split(' ', 3).join(' '))).toEqual(
      held.map((port) => `tcp bound 0.0.0.0:${port}`),
    )
    expect([channels(), left()]).toEqual([1, 0])
  })

  onLinux('closes the channel when its consumer stops early', async () => {
    const { batches, channels, left } = await openHolding()
    let openMeanwhile = 0
    for (const _batch of batches) {
      openMeanwhile = left()
      break
    }
    expect([openMeanwhile, channels(), left()]).toEqual([1, 1, 0])
  })

  onLinux('closes the channel when its consumer fails', async () => {
    const { batches, channels, left } = await openHolding()
    const consume = () => {
      for (const _batch of batches) throw new Error('the consumer failed')
    }
    expect(consume).toThrow('the consumer failed')
    expect([channels(), left()]).toEqual([1, 0])
  })

  onLinux('closes the channel when a dump fails half-way', async () => {
    const { batches, channels, left } = await openHolding((call) => {
      if (call === 2) throw new SystemError('recv', 105)
    })
    expect(() => [...batches]).toThrow(sourceError('exhausted'))
    expect([channels(), left()]).toEqual([1, 0])
  })

  onLinux('closes the channel when the bytes are wrong', async () => {
    const { batches, channels, left } = await openHolding((call, buffer) => {
      // nlmsg_len: more than the datagram has.
      if (call === 2) buffer[1] = 0xff
    })
    expect(() => describeRows(batches)).toThrow(DecodeError)
    expect([channels(), left()]).toEqual([1, 0])
  })

  onLinux('says exhausted when no channel can be had any more', async () => {
    const kernel = createFakeKernel()
    let full = false
    const source = await open({
      ...kernel,
      socket: (domain, type, protocol) => {
        if (full) throw new SystemError('socket', 24)
        return kernel.socket(domain, type, protocol)
      },
    })
    full = true
    const { batches } = await source.read()
    expect(() => describeRows(batches)).toThrow(sourceError('exhausted'))
  })
})
