import { describe, expect, test } from 'vitest'
import type { Settings } from '../../src/snapshot.ts'
import {
  buildPool,
  buildSettings,
  findAll,
  findBySettings,
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
        'sysctl -w net.ipv4.tcp_tw_reuse=1',
      ],
    ])
  })

  test('knows that reuse needs timestamps', () => {
    const state = stateOfTimeWait(upstream, { tcpTwReuse: 0, tcpTimestamps: 0 })
    expect(findAll(state)[0]?.slice(1)).toStrictEqual([
      'sysctl -w net.ipv4.tcp_timestamps=1',
      'sysctl -w net.ipv4.tcp_tw_reuse=1',
    ])
  })

  test('knows that 2 serves loopback only', () => {
    expect(findAll(stateOfTimeWait(local, { tcpTwReuse: 2 }))).toStrictEqual([])
    expect(findAll(stateOfTimeWait(upstream, { tcpTwReuse: 2 }))[0]?.[1]).toBe(
      'sysctl -w net.ipv4.tcp_tw_reuse=1',
    )
    expect(findAll(stateOfTimeWait(local, { tcpTwReuse: 0 }))[0]?.[1]).toBe(
      'sysctl -w net.ipv4.tcp_tw_reuse=2',
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
        'sysctl -w net.ipv4.tcp_timestamps=1',
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
        'ss -Htanp state bound-inactive',
      ],
    ])
    expect(findAll({ blockedPorts: { listener: 9000, bound: 2823 } })).toStrictEqual([])
  })
})

describe('checkSlowPath()', () => {
  test('tells the slow path from exhaustion', () => {
    const pools = [buildPool({ slow: true, availablePorts: 14_000, worstDestination: upstream })]
    expect(findAll({ pools })).toStrictEqual([
      [
        'warning: connect() is slow (10.0.0.9:443 from 10.0.0.5)',
        'sysctl -w net.ipv4.ip_local_port_range="16384 65535"',
      ],
    ])
  })
})

describe('checkPools()', () => {
  test('finds pools near their end, and does not widen what is wide', () => {
    const settings = buildSettings({ firstPort: 16_384, lastPort: 65_535 })
    const pools = [
      buildPool({ capacityPorts: 49_152, availablePorts: 10 }),
      buildPool({ capacityPorts: 49_152, pool: 'udp', availablePorts: 9000 }),
      buildPool({ capacityPorts: 49_152, pool: 'tcp_bind', availablePorts: 0 }),
    ]
    expect(findAll({ settings, pools })).toStrictEqual([
      ['critical: tcp_connect: 99.9% used, 10 of 49152 ports available'],
      ['warning: udp: 81.7% used, 9000 of 49152 ports available', 'ss -Huanp'],
      ['warning: tcp_bind: exhausted, 0 of 49152 ports available', 'ss -Htanp'],
    ])
  })
})
