import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { renderStatus, renderStatusJson, statusExitCode } from '../../src/cli/status.ts'
import {
  buildHost,
  buildNamespace,
  buildPool,
  buildSnapshot,
  buildState,
  buildUse,
  upstream,
} from '../support/render/cli-snapshot.ts'

const failure = { reason: 'permission', message: 'Cannot open netlink: EPERM' } as const
const unread = buildSnapshot({
  namespaces: [buildNamespace({ state: undefined, failure })],
  failures: { ...buildSnapshot().failures, permission: 2, timeout: 1 },
})

const busy = buildHost({
  exactness: 'upper_bound',
  reader: 'procfs',
  protocols: [
    buildUse({ usedPorts: 28_100, listeners: 3 }),
    buildUse({ protocol: 'udp', usedPorts: 12, listeners: undefined }),
  ],
  blockedPorts: { listener: 3, bound: 40 },
  pools: [
    buildPool({
      availablePorts: 132,
      slow: true,
      riskRatio: 0.9,
      etaSeconds: 75,
      worstDestination: upstream,
    }),
    buildPool({ pool: 'tcp_bind', availablePorts: 120, riskRatio: 0.1 }),
    buildPool({ pool: 'udp', availablePorts: 28_220, riskRatio: 0 }),
  ],
  destinations: {
    count: 7,
    rows: [
      { ...upstream, usedPorts: 28_060, timeWaitPorts: 9000, utilizationRatio: 0.9953 },
      {
        source: '2001:db8::5',
        destination: '[2001:db8::9]:5432',
        usedPorts: 40,
        timeWaitPorts: 0,
        utilizationRatio: 0.0029,
      },
    ],
    other: { usedPorts: 5, timeWaitPorts: 1 },
  },
  listeners: [{ protocol: 'tcp', port: 40_000, owner: 'postgresql.service' }],
})

describe('renderStatus()', () => {
  test('shows a quiet host', () => {
    expect(renderStatus(buildSnapshot())).toBe(`2026-01-02T03:04:05Z  ok

NAMESPACE  POOL         CAPACITY  AVAILABLE  USED  RISK  ETA  WORST DESTINATION
host       tcp_connect     28232      28232  0.0%     -    -  -
host       tcp_bind        28232      28232  0.0%     -    -  -
host       udp             28232      28232  0.0%     -    -  -
RISK and ETA need more than a few samples: --watch or the running exporter has them.

Namespace host
  Port range     32768-60999 (sysctl), 0 reserved, 28232 usable
  Read by        netlink, exact
  Used ports     tcp 0, udp 0
  Blocked ports  0 by listeners, 0 bound
  Listeners      tcp 0, udp 0 inside the range and not reserved
`)
  })

  test('shows who is to blame on a busy host', () => {
    expect(renderStatus(busy)).toBe(`2026-01-02T03:04:05Z  critical
  - host tcp_connect to 10.0.0.9:443 from 10.0.0.5: 99.5% used, exhaustion expected in 1m15s (risk
    0.90), connect() is slow

NAMESPACE  POOL         CAPACITY  AVAILABLE   USED  RISK    ETA  WORST DESTINATION
host       tcp_connect     28232        132  99.5%  0.90  1m15s  10.0.0.9:443
host       tcp_bind        28232        120  99.6%  0.10      -  -
host       udp             28232      28220   0.1%  0.00      -  -

Namespace host
  Port range     32768-60999 (sysctl), 0 reserved, 28232 usable
  Read by        procfs, upper_bound (fewer ports may be available than shown)
  Used ports     tcp 28100, udp 12
  Blocked ports  3 by listeners, 40 bound
  Listeners      tcp 3, udp - inside the range and not reserved

  Top destinations, 2 of 7
  DESTINATION         SOURCE       PORTS  TIME_WAIT   USED
  10.0.0.9:443        10.0.0.5     28060       9000  99.5%
  [2001:db8::9]:5432  2001:db8::5     40          0   0.3%
  other               -                5          1      -

  Listeners inside the range, 1 of 3
  PROTOCOL   PORT  OWNER
  tcp       40000  postgresql.service
`)
  })

  test('says why nothing could be read', () => {
    expect(renderStatus(unread)).toBe(`2026-01-02T03:04:05Z  nothing could be read
  - host could not be read: Cannot open netlink: EPERM (permission)

Failed reads: permission 2, timeout 1
`)
  })

  test('shows an exhausted pool as now, and a collector that failed', () => {
    const snapshot = buildSnapshot({
      ...buildHost({ pools: [buildPool({ availablePorts: 0, riskRatio: 1, etaSeconds: 0 })] }),
      collectors: [
        { collector: 'destinations', success: false, durationSeconds: 0 },
        { collector: 'listeners', success: true, durationSeconds: 0 },
      ],
    })
    const text = renderStatus(snapshot)
    expect(text).toContain('\nhost       tcp_connect     28232          0  100.0%  1.00  now  -\n')
    expect(text).toMatch(/\n\nFailed collectors: destinations\n$/)
  })

  test('goes without destinations while their collector is off', () => {
    expect(renderStatus(buildHost({ destinations: undefined }))).toBe(renderStatus(buildSnapshot()))
  })

  test('fits 100 columns whatever the names', () => {
    const name = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 300 })
    const port = fc.nat(65_535)
    fc.assert(
      fc.property(name, name, name, port, (netns, source, destination, ports) => {
        const pair = { source, destination }
        const state = buildState({
          pools: [buildPool({ availablePorts: 0, etaSeconds: 1e9, worstDestination: pair })],
          destinations: {
            count: 1,
            rows: [{ ...pair, usedPorts: ports, timeWaitPorts: ports, utilizationRatio: 1 }],
            other: undefined,
          },
          listeners: [{ protocol: 'tcp', port: ports, owner: source }],
        })
        const namespaces = [
          buildNamespace({ netns, state }),
          buildNamespace({ netns, state: undefined, failure: { ...failure, message: source } }),
        ]
        for (const line of renderStatus(buildSnapshot({ namespaces })).split('\n')) {
          expect(line.length).toBeLessThanOrEqual(100)
        }
      }),
    )
  })
})

describe('statusExitCode()', () => {
  test('is 0 on a quiet host', () => {
    expect(statusExitCode(buildSnapshot())).toBe(0)
  })

  test('is 1 on a warning', () => {
    expect(statusExitCode(buildHost({ pools: [buildPool({ slow: true })] }))).toBe(1)
  })

  test('is 2 when critical', () => {
    expect(statusExitCode(busy)).toBe(2)
  })

  test('is 3 when nothing could be read, and without any namespace', () => {
    expect(statusExitCode(unread)).toBe(3)
    expect(statusExitCode(buildSnapshot({ namespaces: [] }))).toBe(3)
  })

  test('is 1 when only a part could be read', () => {
    const namespaces = [buildNamespace(), ...unread.namespaces]
    expect(statusExitCode(buildSnapshot({ namespaces }))).toBe(1)
  })
})

describe('renderStatusJson()', () => {
  test('is the snapshot on one line, without what is not known', () => {
    const line = renderStatusJson(busy)
    expect(line.indexOf('\n')).toBe(line.length - 1)
    expect(JSON.parse(line)).toEqual(busy)
    expect(JSON.parse(line).namespaces[0].state.protocols[1]).not.toHaveProperty('listeners')
  })
})

describe('renderStatus() of a node', () => {
  const quiet = (netns: string) => buildNamespace({ netns, netnsKind: 'pod', detailed: false })

  test('counts quiet namespaces instead of showing them', () => {
    const text = renderStatus(
      buildSnapshot({ namespaces: [buildNamespace(), quiet('pod/a/b'), quiet('pod/a/c')] }),
    )
    expect(text).not.toContain('pod/a/b')
    expect(text).toContain('2 other namespaces are quiet')
  })

  test('shows a busy one whole, with who holds its ports', () => {
    const owner = {
      owner: 'cart',
      ownerKind: 'container',
      protocol: 'tcp',
      usedPorts: 4711,
    } as const
    const busy = buildNamespace({
      netns: 'pod/shop/cart-1',
      netnsKind: 'pod',
      state: buildState({ owners: [owner] }),
    })
    const text = renderStatus(buildSnapshot({ namespaces: [buildNamespace(), busy] }))
    expect(text).toContain('Namespace pod/shop/cart-1')
    expect(text).toMatch(/tcp +cart +container +4711/)
  })
})
