import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ConnectionRow } from '../../src/sources/connection-rows.ts'
import {
  createSystemInformationSource,
  type SystemInformationOptions,
} from '../../src/sources/systeminformation.ts'
import { describeRows } from '../kernel/rows.ts'

const listener: ConnectionRow = {
  protocol: 'tcp',
  localAddress: '0.0.0.0',
  localPort: '10132',
  peerAddress: '0.0.0.0',
  peerPort: '*',
  state: 'LISTEN',
}
const client: ConnectionRow = {
  ...listener,
  localAddress: '192.0.2.1',
  localPort: '50000',
  peerAddress: '192.0.2.9',
  peerPort: '443',
  state: 'ESTABLISHED',
}
const udp: ConnectionRow = { ...listener, protocol: 'udp', localPort: '53000', state: '' }
const rows = [listener, client, udp]

const text = (path: string) =>
  readFileSync(new URL(`../fixtures/${path}`, import.meta.url), 'latin1')
const sourceError = (reason: string) => expect.objectContaining({ name: 'SourceError', reason })

let procfs = ''
beforeEach(() => {
  procfs = mkdtempSync(join(tmpdir(), 'procfs-'))
  cpSync(fileURLToPath(new URL('../fixtures/proc/dual-stack', import.meta.url)), procfs, {
    recursive: true,
  })
})
afterEach(() => rmSync(procfs, { recursive: true }))

function source(options: Partial<SystemInformationOptions>) {
  return createSystemInformationSource({
    platform: 'linux',
    procfs,
    listConnections: async () => rows,
    run: async (program) => {
      throw new Error(`unexpected ${program}`)
    },
    ...options,
  })
}

describe('createSystemInformationSource() on Linux', () => {
  test('takes the settings from procfs and leaves UDP unknown', async () => {
    const { batches, ...reading } = await source({}).read()
    expect(reading).toEqual({
      netns: 'self',
      reader: 'systeminformation',
      exactness: 'upper_bound',
      readerIsExact: false,
      rangeOrigin: 'sysctl',
      settings: expect.objectContaining({ range: { first: 40000, last: 40999 }, tcpTwReuse: 2 }),
      protocols: ['tcp'],
      canProbe: false,
      activeOpens: undefined,
      tcpBoundKnown: false,
      portsReopen: false,
      tcpChoiceKnown: false,
      udpListenersKnown: false,
    })
    expect(describeRows(batches)).toEqual([
      'tcp listen 0.0.0.0:10132 > 0.0.0.0:0',
      'tcp established 192.0.2.1:50000 > 192.0.2.9:443',
    ])
  })

  test('fails on an empty list, which is never a quiet host', async () => {
    await expect(source({ listConnections: async () => [] }).read()).rejects.toEqual(
      sourceError('unsupported'),
    )
  })

  test('fails when its own listener is missing, or is no listener', async () => {
    const read = (port: number | undefined) => source({ ownPort: () => port }).read()
    await expect(read(10132)).resolves.toBeDefined()
    await expect(read(undefined)).resolves.toBeDefined()
    await expect(read(50000)).rejects.toEqual(sourceError('malformed'))
    await expect(read(10133)).rejects.toThrow(
      'among its 2 TCP sockets there is no listener on port 10133, which is our own',
    )
  })

  test('fails when the kernel counts far more sockets than are listed', async () => {
    const directory = join(procfs, 'thread-self/net')
    mkdirSync(directory, { recursive: true })
    const count = (inUse: number, timeWait: number) =>
      writeFileSync(
        join(directory, 'sockstat'),
        `sockets: used 9\nTCP: inuse ${inUse} orphan 0 tw ${timeWait} alloc 9 mem 9\n`,
      )
    count(100, 100)
    await expect(source({}).read()).resolves.toBeDefined()
    count(100, 1_000_000)
    await expect(source({}).read()).rejects.toThrow(
      'it lists 2 TCP sockets where the kernel counts 1000100',
    )
  })

  test.runIf(process.platform === 'linux')(
    'fails where there is neither netstat nor ss',
    async () => {
      const path = process.env.PATH
      process.env.PATH = '/nonexistent'
      try {
        const real = createSystemInformationSource({ platform: 'linux', procfs: '/proc' })
        await expect(real.read()).rejects.toEqual(sourceError('unsupported'))
      } finally {
        process.env.PATH = path
      }
    },
  )
})

describe('createSystemInformationSource() elsewhere', () => {
  test('asks sysctl for the range on macOS', async () => {
    const asked: string[] = []
    const reading = await source({
      platform: 'darwin',
      run: async (program, args) => {
        asked.push([program, ...args].join(' '))
        return text('sysctl-macos/values-only.txt')
      },
    }).read()
    expect(asked).toEqual([
      '/usr/sbin/sysctl -n net.inet.ip.portrange.first net.inet.ip.portrange.last',
    ])
    expect(reading).toMatchObject({
      netns: 'host',
      settings: {
        range: { first: 49152, last: 65535 },
        reserved: [],
        reservedText: '',
        ipv6: true,
      },
      protocols: ['tcp', 'udp'],
    })
    expect(describeRows(reading.batches)).toHaveLength(3)
  })

  const netsh =
    (tcpAnswer: string, udpAnswer: string) => async (_: string, args: readonly string[]) =>
      text(`netsh/${args.at(-1) === 'udp' ? udpAnswer : tcpAnswer}`)

  test('asks netsh for both ranges on Windows', async () => {
    const run = netsh('english.txt', 'german-codepage-850.txt')
    const reading = await source({ platform: 'win32', run }).read()
    expect(reading).toMatchObject({
      netns: 'host',
      settings: { range: { first: 49152, last: 65535 } },
      protocols: ['tcp', 'udp'],
    })
  })

  test('leaves UDP unknown on Windows where its range is another', async () => {
    const run = netsh('english.txt', 'line-feeds-only.txt')
    const reading = await source({ platform: 'win32', run }).read()
    expect(reading.protocols).toEqual(['tcp'])
    expect(reading.settings.range).toEqual({ first: 49152, last: 65535 })
    expect(describeRows(reading.batches).filter((row) => row.startsWith('udp'))).toEqual([])
  })

  test('fails on a list of nothing but headings', async () => {
    const run = netsh('english.txt', 'english.txt')
    const heading = { ...listener, protocol: 'proto', localPort: '' }
    await expect(
      source({ platform: 'win32', run, listConnections: async () => [heading] }).read(),
    ).rejects.toEqual(sourceError('unsupported'))
  })

  test('refuses a platform whose range it does not know', async () => {
    await expect(source({ platform: 'freebsd' }).read()).rejects.toEqual(sourceError('unsupported'))
  })

  test.skipIf(process.platform === 'win32')(
    'says in one line that a program is missing',
    async () => {
      const real = createSystemInformationSource({ platform: 'win32', procfs })
      await expect(real.read()).rejects.toEqual(sourceError('unsupported'))
      await expect(real.read()).rejects.toThrow(
        /^Cannot run netsh int ipv4 show dynamicport tcp: .*ENOENT$/,
      )
    },
  )

  test.runIf(process.platform === 'linux')(
    'says in one line what a program complains of',
    async () => {
      const real = createSystemInformationSource({ platform: 'darwin', procfs })
      await expect(real.read()).rejects.toThrow(/^Cannot run \/usr\/sbin\/sysctl .*$/)
    },
  )
})
