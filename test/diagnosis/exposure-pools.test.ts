import { describe, expect, test } from 'vitest'
import { diagnose } from '../../src/diagnosis/diagnose.ts'
import type { Settings } from '../../src/snapshot.ts'
import {
  buildHost,
  buildPool,
  buildSettings,
  buildUse,
  findAll,
  findBySettings,
  inHost,
  linux,
  upstream,
} from '../support/render/cli-snapshot.ts'

const local = { source: '127.0.0.1', destination: '127.0.0.1:6379' }

function stateOfTimeWait(
  pair: typeof upstream,
  settings: Partial<Settings>,
  { used = 20_000, timeWait = 19_000 } = {},
) {
  const row = { ...pair, usedPorts: used, timeWaitPorts: timeWait, utilizationRatio: used / 28_232 }
  return {
    settings: buildSettings(settings),
    destinations: { count: 1, rows: [row], other: undefined },
  }
}

describe('checkReuse()', () => {
  test('finds a destination whose ports wait in TIME_WAIT without reuse', () => {
    expect(findAll(stateOfTimeWait(upstream, { tcpTwReuse: 0 }))).toStrictEqual([
      [
        'warning: 19000 of 20000 ports to 10.0.0.9:443 from 10.0.0.5 wait in TIME_WAIT and tcp_tw_reuse=0 keeps them closed',
        inHost('sysctl -w net.ipv4.tcp_tw_reuse=1'),
      ],
    ])
  })

  test('knows that reuse needs timestamps', () => {
    const state = stateOfTimeWait(upstream, { tcpTwReuse: 0, tcpTimestamps: 0 })
    expect(findAll(state)[0]?.slice(1)).toStrictEqual([
      inHost('sysctl -w net.ipv4.tcp_timestamps=1 net.ipv4.tcp_tw_reuse=1'),
    ])
  })

  test('knows that 2 serves loopback only', () => {
    expect(findAll(stateOfTimeWait(local, { tcpTwReuse: 2 }))).toStrictEqual([])
    expect(findAll(stateOfTimeWait(upstream, { tcpTwReuse: 2 }))[0]?.[1]).toBe(
      inHost('sysctl -w net.ipv4.tcp_tw_reuse=1'),
    )
    expect(findAll(stateOfTimeWait(local, { tcpTwReuse: 0 }))[0]?.[1]).toBe(
      inHost('sysctl -w net.ipv4.tcp_tw_reuse=2'),
    )
  })

  test.each([
    ['::1', '[::1]:6379'],
    ['127.0.0.9', '10.0.0.9:443'],
    ['10.0.0.5', '127.0.0.1:443'],
    ['fe80::5%1', '[fe80::9]:443'],
  ])('takes %s to %s for loopback', (source, destination) => {
    expect(findAll(stateOfTimeWait({ source, destination }, { tcpTwReuse: 2 }))).toStrictEqual([])
  })

  test.each([
    ['10.0.0.5%10', '10.0.0.9:443'],
    ['::127.0.0.1', '[::1:2]:443'],
    ['2001:db8::1', '[2001:db8::1]:443'],
  ])('does not take %s to %s for loopback', (source, destination) => {
    expect(findAll(stateOfTimeWait({ source, destination }, { tcpTwReuse: 2 }))).toHaveLength(1)
  })

  test('says nothing of TIME_WAIT that is few, a smaller part, recycled or of unknown settings', () => {
    const off = { tcpTwReuse: 0 }
    const few = { used: 6000, timeWait: 5600 }
    const part = { used: 20_000, timeWait: 9999 }
    expect(findAll(stateOfTimeWait(upstream, off, few))).toStrictEqual([])
    expect(findAll(stateOfTimeWait(upstream, off, part))).toStrictEqual([])
    expect(findAll(stateOfTimeWait(upstream, { tcpTwReuse: 1 }))).toStrictEqual([])
    expect(findAll(stateOfTimeWait(upstream, { tcpTwReuse: undefined }))).toStrictEqual([])
  })

  test('finds reuse that has no effect for want of timestamps', () => {
    expect(findBySettings({ tcpTwReuse: 1, tcpTimestamps: 0 })).toStrictEqual([
      [
        'warning: tcp_tw_reuse=1 has no effect because tcp_timestamps=0',
        inHost('sysctl -w net.ipv4.tcp_timestamps=1'),
      ],
    ])
    expect(findBySettings({ tcpTwReuse: 2, tcpTimestamps: 0 })[0]?.[0]).toMatch(/^note: /)
    expect(findBySettings({ tcpTwReuse: 0, tcpTimestamps: 0 })).toStrictEqual([])
  })
})

describe('checkBlocked()', () => {
  test('finds ports closed by sockets that are bound, from a tenth of the range on', () => {
    expect(findAll({ blockedPorts: { listener: 0, bound: 2824 } })).toStrictEqual([
      [
        'warning: 2824 ports (10.0%) are closed to every connect() because sockets are bound to them',
        inHost('ss -Htanp state bound-inactive'),
      ],
    ])
    expect(findAll({ blockedPorts: { listener: 9000, bound: 2823 } })).toStrictEqual([])
  })
})

describe('checkChurn()', () => {
  const opened = (connectionsOpened: number, readAtSeconds: number, settings = {}) =>
    buildHost({ connectionsOpened, readAtSeconds, settings: buildSettings(settings) })
  const find = (perSecond: number, settings = {}) =>
    diagnose(opened(1000 + perSecond * 5, 1005, settings), linux, opened(1000, 1000))
      .findings.filter(({ what }) => what.includes('a second'))
      .map(({ severity, what }) => `${severity}: ${what}`)

  test('compares what is opened with what the range sustains', () => {
    expect(find(500)).toEqual([
      'warning: 500 connections a second are opened, and 28,232 ports sustain 471 a second to one destination',
    ])
    expect(find(300)[0]).toMatch(/^note: /)
    expect(find(200)).toEqual([])
  })

  test('says nothing where every port may be reused', () => {
    expect(find(500, { tcpTwReuse: 1 })).toEqual([])
  })
})

describe('checkBuckets()', () => {
  test('finds that TIME_WAITs are about to be dropped', () => {
    const protocols = [buildUse({ sockets: { time_wait: 950 } }), buildUse({ protocol: 'udp' })]
    expect(
      findAll({ protocols, settings: buildSettings({ tcpMaxTwBuckets: 1000 }) }),
    ).toStrictEqual([
      [
        'warning: 950 sockets are in TIME_WAIT and tcp_max_tw_buckets=1000',
        inHost('sysctl -w net.ipv4.tcp_max_tw_buckets=262144'),
      ],
    ])
    expect(findAll({ protocols, settings: buildSettings({ tcpMaxTwBuckets: -1 }) })).toEqual([])
  })
})

describe('checkUdpPorts()', () => {
  test('counts the bits that protect a DNS question', () => {
    const pools = (availablePorts: number) => [buildPool({ pool: 'udp', availablePorts })]
    expect(findAll({ pools: pools(1024) })).toEqual([])
    expect(findAll({ pools: pools(512) })).toEqual([
      ['warning: a UDP socket has 512 ports to be given, 9.0 bits of randomness'],
    ])
  })
})
