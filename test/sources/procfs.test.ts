import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DecodeError, SourceError } from '../../src/observation.ts'
import { createProcfsSource, openProcfsSource } from '../../src/sources/procfs.ts'
import { describeRows } from '../kernel/rows.ts'

const recorded = fileURLToPath(new URL('../fixtures/proc/dual-stack', import.meta.url))
let procfs = ''

beforeEach(() => {
  procfs = mkdtempSync(join(tmpdir(), 'procfs-'))
  cpSync(recorded, procfs, { recursive: true })
})
afterEach(() => rmSync(procfs, { recursive: true }))

const read = () => createProcfsSource({ procfs }).read()
const sourceError = (reason: string) => expect.objectContaining({ name: 'SourceError', reason })

describe('createProcfsSource()', () => {
  test('reads a recorded tree, in range only', () => {
    const { batches, ...reading } = read()
    expect(reading).toEqual({
      netns: 'self',
      ownersBy: 'user',
      canProbe: false,
      reader: 'procfs',
      exactness: 'upper_bound',
      readerIsExact: false,
      rangeOrigin: 'sysctl',
      settings: expect.objectContaining({ range: { first: 40000, last: 40999 }, ipv6: true }),
      protocols: ['tcp', 'udp'],
      activeOpens: 7,
      tcpBoundKnown: false,
      portsReopen: false,
      tcpChoiceKnown: false,
      udpListenersKnown: false,
    })
    expect(describeRows(batches)).toEqual([
      'tcp listen 127.0.0.1:40500 > 0.0.0.0:0',
      'tcp syn_sent 10.9.0.1:40554 > 10.9.0.2:443 uid 1000',
      'tcp established 127.0.0.1:40796 > 127.0.0.1:8080 uid 1000',
      'tcp time_wait 127.0.0.1:40808 > 127.0.0.1:8080 minisock 59790ms',
      'tcp fin_wait2 127.0.0.1:40822 > 127.0.0.1:8080 minisock 59800ms',
      'tcp established 127.0.0.1:40824 > 127.0.0.1:8080 uid 1000',
      'tcp listen [::1]:40501 > [::]:0 v6only',
      'tcp established 127.0.0.1:40798 > 127.0.0.1:8080 uid 1000',
      'tcp established [2001:db8:85a3:8d3::12]:40150 > [2001:db8:85a3:8d3::12]:8080 uid 1000',
      'udp established 127.0.0.1:40242 > 127.0.0.1:53 uid 1000',
      'udp bound 0.0.0.0:40600 > 0.0.0.0:0',
      'udp established [::1]:40519 > [::1]:53 uid 1000',
      'udp bound [::]:40601 > [::]:0',
      'udp bound [::1]:40602 > [::]:0 v6only',
    ])
  })

  test('says host when the tree has what only the initial namespace has', () => {
    writeFileSync(join(procfs, 'sys/net/ipv4/tcp_mem'), '1 2 3\n')
    expect(read().netns).toBe('host')
  })

  test('takes missing tcp6 and udp6 for a host without IPv6', () => {
    rmSync(join(procfs, 'net/tcp6'))
    rmSync(join(procfs, 'net/udp6'))
    rmSync(join(procfs, 'sys/net/ipv6'), { recursive: true })
    const reading = read()
    expect(reading.settings.ipv6).toBe(false)
    expect(reading.protocols).toEqual(['tcp', 'udp'])
    expect(describeRows(reading.batches)).toHaveLength(8)
  })

  test('leaves UDP unknown where there is no udp', () => {
    rmSync(join(procfs, 'net/udp'))
    expect(read().protocols).toEqual(['tcp'])
  })

  test('leaves the opened connections unknown where there is no snmp', () => {
    rmSync(join(procfs, 'net/snmp'))
    expect(read().activeOpens).toBeUndefined()
  })

  test('throws unsupported when there is no tcp', () => {
    rmSync(join(procfs, 'net/tcp'))
    expect(read).toThrow(sourceError('unsupported'))
    expect(read).toThrow(`there is no ${procfs}/net/tcp`)
  })

  test('fails on an empty table, which is never a quiet host', () => {
    writeFileSync(join(procfs, 'net/tcp'), '')
    expect(() => describeRows(read().batches)).toThrow(DecodeError)
  })

  test('fails on an empty table that is not the first', () => {
    writeFileSync(join(procfs, 'net/udp6'), '')
    expect(() => describeRows(read().batches)).toThrow(DecodeError)
  })

  test('throws vanished when a table goes after the reading began', () => {
    const { batches } = read()
    rmSync(join(procfs, 'net/tcp6'))
    expect(() => describeRows(batches)).toThrow(sourceError('vanished'))
  })

  test('passes what the sysctls refuse', () => {
    writeFileSync(join(procfs, 'sys/net/ipv4/ip_local_port_range'), 'none\n')
    expect(read).toThrow(DecodeError)
    rmSync(join(procfs, 'sys/net/ipv4/ip_local_port_range'))
    expect(read).toThrow(SourceError)
  })

  test('takes PID 1 of the /proc of another PID namespace, with the default range', () => {
    mkdirSync(join(procfs, 'thread-self/net'), { recursive: true })
    cpSync(join(recorded, 'net'), join(procfs, 'thread-self/net'), { recursive: true })
    writeFileSync(join(procfs, 'thread-self/status'), 'Name:\tnode\nNSpid:\t4711\t7\nUid:\t0\n')
    mkdirSync(join(procfs, '1/net'), { recursive: true })
    cpSync(join(recorded, 'net/udp'), join(procfs, '1/net/udp'))
    cpSync(
      new URL('../fixtures/proc/tables/tcp-quiet-namespace', import.meta.url),
      join(procfs, '1/net/tcp'),
    )
    const { batches, ...reading } = read()
    expect(reading).toMatchObject({
      netns: 'host',
      rangeOrigin: 'default',
      settings: {
        range: { first: 32768, last: 60999 },
        reserved: [],
        reservedText: '',
        ipv6: false,
        tcpTwReuse: undefined,
      },
      activeOpens: undefined,
    })
    expect(describeRows(batches)).toEqual([
      'udp established 127.0.0.1:40242 > 127.0.0.1:53 uid 1000',
      'udp bound 0.0.0.0:40600 > 0.0.0.0:0',
    ])
  })

  test('takes thread-self of our own PID namespace', () => {
    mkdirSync(join(procfs, 'thread-self/net'), { recursive: true })
    cpSync(join(recorded, 'net/tcp6'), join(procfs, 'thread-self/net/tcp6'))
    cpSync(join(recorded, 'net/tcp'), join(procfs, 'thread-self/net/tcp'))
    writeFileSync(join(procfs, 'thread-self/status'), 'Name:\tnode\nNSpid:\t4711\nUid:\t0\n')
    expect(read()).toMatchObject({ netns: 'self', rangeOrigin: 'sysctl', protocols: ['tcp'] })
  })

  test.runIf(process.platform === 'linux')(
    'reads the range where PID 1 of a foreign /proc shares our network namespace',
    () => {
      mkdirSync(join(procfs, '1'))
      symlinkSync('/proc/thread-self/net', join(procfs, '1/net'))
      expect(read()).toMatchObject({
        netns: 'host',
        rangeOrigin: 'sysctl',
        settings: { range: { first: 40000, last: 40999 } },
      })
    },
  )

  test.runIf(process.platform === 'linux')('closes its files however the reading ends', () => {
    const openFiles = () => readdirSync('/proc/self/fd').length
    const before = openFiles()
    for (const _batch of read().batches) break
    writeFileSync(join(procfs, 'net/tcp'), 'nonsense\n')
    expect(() => describeRows(read().batches)).toThrow(DecodeError)
    expect(openFiles()).toBe(before)
  })
})

describe('openProcfsSource()', () => {
  test('refuses a /proc whose first table is malformed', () => {
    const open = () =>
      openProcfsSource({ procfs, platform: 'linux', everyNamespace: false, ownPort: undefined })
    expect(open().reader).toBe('procfs')
    writeFileSync(join(procfs, 'net/tcp'), '')
    expect(open).toThrow(DecodeError)
  })

  test('refuses any platform but Linux', () => {
    expect(() =>
      openProcfsSource({ procfs, platform: 'darwin', everyNamespace: false, ownPort: undefined }),
    ).toThrow(sourceError('unsupported'))
  })
})
