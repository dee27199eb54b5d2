import { describe, expect, test } from 'vitest'
import type { Libc } from '../../src/kernel/libc.ts'
import { openFallbackSource } from '../../src/sources/fallback.ts'
import { openSource } from '../../src/sources/sources.ts'
import { createFakeKernel } from '../support/kernel/fake-kernel.ts'

const onLinux = test.runIf(process.platform === 'linux')

/** A kernel that gets the module tcp_diag when `load` is called. */
function createKernel() {
  const without = createFakeKernel({ tcpDiag: 'refuses' })
  const loaded = createFakeKernel()
  let kernel: Libc = without
  const libc = new Proxy(without as Libc, {
    get: (_target, name) => Reflect.get(kernel, name),
  })
  const load = () => {
    kernel = loaded
  }
  return { libc, load, openSockets: () => without.openSockets.size }
}

function createOptions(libc: Libc) {
  const openLibc = async () => libc
  return { procfs: '/proc', platform: 'linux', everyNamespace: false, ownPort: undefined, openLibc }
}

describe("openSource('auto') without the module tcp_diag", () => {
  onLinux('says what is missing, and reads whatever namespace the thread is in', async () => {
    const { libc, openSockets } = createKernel()
    const { source, refusals } = await openSource('auto', createOptions(libc))
    expect(refusals).toEqual([
      'netlink: Cannot use netlink: tcp_diag is missing: modprobe tcp_diag',
    ])
    expect(source).toMatchObject({ reader: 'procfs', entersNamespaces: true })
    expect(await source.read()).toMatchObject({
      reader: 'procfs',
      exactness: 'upper_bound',
      readerIsExact: false,
      rangeOrigin: 'sysctl',
      canProbe: true,
    })
    expect(openSockets()).toBe(0)
  })

  onLinux('stays outside of other namespaces where libc is missing', async () => {
    const options = {
      ...createOptions(createKernel().libc),
      openLibc: async () => {
        throw new Error('there is no koffi')
      },
    }
    const { source, refusals } = await openSource('auto', options)
    expect(refusals.join()).toContain('there is no koffi')
    expect(source).toMatchObject({ reader: 'procfs', entersNamespaces: false })
    expect(await source.read()).toMatchObject({ canProbe: false })
  })

  onLinux('does not load libc for procfs by name', async () => {
    const { source } = await openSource('procfs', createOptions(createKernel().libc))
    expect(source).toMatchObject({ entersNamespaces: false })
  })
})

describe('read() of the fallback', () => {
  onLinux('tries netlink again every minute, and stays with it once it works', async () => {
    const { libc, load } = createKernel()
    let now = 1000
    const source = await openFallbackSource(createOptions(libc), () => now)
    const readerAt = (seconds: number) => {
      now = 1000 + seconds
      return source.read().reader
    }
    expect([readerAt(0), readerAt(60)]).toEqual(['procfs', 'procfs'])
    load()
    expect([readerAt(119), readerAt(120), readerAt(121)]).toEqual(['procfs', 'netlink', 'netlink'])
    expect(source.read()).toMatchObject({ tcpBoundKnown: true })
  })
})
