import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { renderStatus, renderStatusJson, statusExitCode } from '../../src/cli/status.ts'
import { plainText, type Terminal } from '../../src/cli/text.ts'
import { diagnose } from '../../src/diagnosis/diagnose.ts'
import type { Snapshot } from '../../src/snapshot.ts'
import {
  buildHost,
  buildNamespace,
  buildPool,
  buildSnapshot,
  buildState,
  buildUse,
  linux,
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
  readerIsExact: false,
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

const judge = (snapshot: Snapshot) => diagnose(snapshot, linux)
const render = (snapshot: Snapshot, terminal: Terminal = plainText) =>
  renderStatus(
    { snapshot, diagnosis: judge(snapshot), origin: 'sampled by this command' },
    terminal,
  )
const exitCode = (snapshot: Snapshot) => statusExitCode(judge(snapshot))
const WIDTH = 80

describe('renderStatus()', () => {
  test('shows an exhausted pool as now, and a collector that failed', () => {
    const snapshot = buildSnapshot({
      ...buildHost({ pools: [buildPool({ availablePorts: 0, riskRatio: 1, etaSeconds: 0 })] }),
      collectors: [
        { collector: 'destinations', success: false, durationSeconds: 0 },
        { collector: 'listeners', success: true, durationSeconds: 0 },
      ],
    })
    const text = render(snapshot)
    expect(text).toContain('\nhost       tcp_connect     28232          0  100.0%  1.00  now  -\n')
    expect(text).toMatch(/\n\nFailed collectors: destinations\n$/)
  })

  test('goes without destinations while their collector is off', () => {
    expect(render(buildHost({ destinations: undefined }))).toBe(render(buildSnapshot()))
  })

  test('fits the terminal whatever the names, but for commands and for words that are longer', () => {
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
        const text = render(buildSnapshot({ namespaces }), { ...plainText, columns: WIDTH })
        for (const line of text.split('\n')) {
          const free = /^ *(nsenter|\S+$)/.test(line) || /\S{40}/.test(line)
          if (!free) expect(line.length).toBeLessThanOrEqual(WIDTH)
        }
      }),
    )
  })
})

describe('statusExitCode()', () => {
  test('is 0 on a quiet host', () => {
    expect(exitCode(buildSnapshot())).toBe(0)
  })

  test('is 1 on a warning', () => {
    expect(exitCode(buildHost({ pools: [buildPool({ slow: true })] }))).toBe(1)
  })

  test('is 2 when critical', () => {
    expect(exitCode(busy)).toBe(2)
  })

  test('is 3 when nothing could be read, and without any namespace', () => {
    expect(exitCode(unread)).toBe(3)
    expect(exitCode(buildSnapshot({ namespaces: [] }))).toBe(3)
  })

  test.each([
    ['malformed', 1],
    ['timeout', 1],
    ['vanished', 0],
    ['permission', 0],
  ] as const)('of a part that could not be read (%s) is %d', (reason, expected) => {
    const failure = { reason, message: 'refused' }
    const namespaces = [
      buildNamespace(),
      ...unread.namespaces.map((one) => ({ ...one, netns: 'self', failure })),
    ]
    expect(exitCode(buildSnapshot({ namespaces }))).toBe(expected)
  })
})

describe('renderStatusJson()', () => {
  test('is the snapshot on one line, without what is not known', () => {
    const line = renderStatusJson(busy, judge(busy))
    expect(line.indexOf('\n')).toBe(line.length - 1)
    expect(JSON.parse(line)).toEqual(
      JSON.parse(JSON.stringify({ ...busy, diagnosis: judge(busy) })),
    )
    expect(JSON.parse(line).namespaces[0].state.protocols[1]).not.toHaveProperty('listeners')
  })
})

describe('renderStatus() of a node', () => {
  const quiet = (netns: string) => buildNamespace({ netns, netnsKind: 'pod', detailed: false })

  test('counts quiet namespaces instead of showing them', () => {
    const text = render(
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
    const text = render(buildSnapshot({ namespaces: [buildNamespace(), busy] }))
    expect(text).toContain('Namespace pod/shop/cart-1')
    expect(text).toMatch(/tcp +cart +container +4711/)
  })
})
