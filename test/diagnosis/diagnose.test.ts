import { describe, expect, test } from 'vitest'
import { diagnose } from '../../src/diagnosis/diagnose.ts'
import type { Namespace, Pool } from '../../src/snapshot.ts'
import {
  buildHost,
  buildNamespace,
  buildPool,
  buildSettings,
  buildSnapshot,
  buildState,
  buildUse,
  linux,
  upstream,
} from '../support/render/cli-snapshot.ts'

const failure = { reason: 'permission', message: 'Cannot enter /proc/7/ns/net: EPERM' } as const
const unread = (netns: string, part: Partial<Namespace> = {}) =>
  buildNamespace({ netns, netnsKind: 'pod', state: undefined, failure, ...part })
const withPools = (netns: string, ...pools: Pool[]) =>
  buildNamespace({ netns, netnsKind: 'pod', detailed: false, state: buildState({ pools }) })
const empty = buildPool({ capacityPorts: 400, availablePorts: 0, worstDestination: upstream })
const risky = buildPool({ availablePorts: 9000, riskRatio: 0.9, etaSeconds: 240 })

/** What the text of /proc shows. */
const procfs = { reader: 'procfs', exactness: 'upper_bound', readerIsExact: false } as const

describe('diagnose()', () => {
  test('says what is ok on a quiet host', () => {
    const { findings, pools, severity, headline } = diagnose(buildSnapshot(), linux)
    expect([severity, headline, pools]).toStrictEqual(['ok', 'The namespace has enough ports', []])
    expect(
      findings.map((one) => `${one.severity} ${one.namespaces.join()} ${one.what}`),
    ).toStrictEqual([
      "ok host TIME_WAIT withholds no destination's ports (tcp_tw_reuse=2, tcp_timestamps=1)",
      'ok host no service listens inside 32768-60999 on a port that is not reserved',
      'ok host the port range 32768-60999 has 28232 ports',
      'ok host netlink sees every socket that holds a port',
    ])
  })

  test('says of every problem why it is one and what to do', () => {
    const { findings } = diagnose(
      buildHost({
        exactness: 'upper_bound',
        settings: buildSettings({ firstPort: 40_000, lastPort: 40_100, tcpTwReuse: 0 }),
        blockedPorts: { listener: 1, bound: 50 },
        pools: [buildPool({ pool: 'udp', availablePorts: 101 })],
        protocols: [buildUse({ listeners: 1 }), buildUse({ protocol: 'udp' })],
        listeners: [{ protocol: 'tcp', port: 40_000, owner: 'a' }],
      }),
      { ...linux, listenPorts: [40_001] },
    )
    const bad = findings.filter(({ severity }) => severity !== 'ok')
    expect(bad).toHaveLength(7)
    for (const { why, fix } of bad) {
      expect(why).toMatch(/^.{20,}\.$/s)
      expect(fix).toMatch(/^.{20,}[.:]$/s)
    }
  })

  test.each([
    ['netlink', true, 'linux', /Linux 6\.8/],
    ['procfs', true, 'linux', /Linux 6\.8/],
    ['netlink', false, 'linux', /--source=auto/],
    ['systeminformation', false, 'linux', /--source=auto/],
    ['systeminformation', false, 'win32', /^$/],
  ] as const)(
    'says what makes %s, exact: %s, on %s exact',
    (reader, readerIsExact, platform, fix) => {
      const host = buildHost({ exactness: 'upper_bound', reader, readerIsExact })
      const { findings } = diagnose(host, { ...linux, platform })
      const finding = findings.find(
        ({ what }) => what === 'fewer ports may be available than shown',
      )
      expect(finding?.severity).toBe('note')
      expect(finding?.fix).toMatch(fix)
      expect(finding?.fix).not.toContain('koffi')
    },
  )

  test('says which collectors fail, and which are not possible here', () => {
    const row = { collector: 'nat', success: false, durationSeconds: 0, problem: 'garbled' }
    const { findings, severity } = diagnose(
      buildSnapshot({
        collectors: [row, { ...row, collector: 'sockets', problem: undefined }],
        absences: [{ collector: 'failures', reason: 'it takes root' }],
      }),
      linux,
    )
    const told = findings.filter(({ namespaces }) => namespaces.length === 0)
    expect(told.map(({ severity, what, why }) => [severity, what, why])).toEqual([
      ['warning', 'the collector nat does not work', 'garbled.'],
      ['note', 'the collector failures is not possible here', 'it takes root.'],
    ])
    expect(severity).toBe('ok')
  })

  test('says what may be left where the kernel does not tell which ports were bound first', () => {
    const owners = [{ owner: 'shop', ownerKind: 'unit', ports: 400 }] as const
    const connect = (uncertainPorts: number) =>
      buildPool({
        capacityPorts: 400,
        availablePorts: 360,
        uncertainPorts,
        cause: { cause: 'many_connections', ports: 40, owners: [] },
      })
    const bind = buildPool({
      pool: 'tcp_bind',
      capacityPorts: 400,
      cause: { cause: 'many_connections', ports: 400, owners },
    })
    const judge = (uncertainPorts: number) =>
      diagnose(buildHost({ pools: [connect(uncertainPorts), bind] }), linux).pools
    expect(judge(339)).toEqual([])
    const [pool] = judge(340)
    expect(pool).toMatchObject({
      verdict: 'watch',
      severity: 'warning',
      headline: '20 to 360 of 400 ports left',
      because:
        '340 of 400 ports may be held by connections whose port was bound first, held by shop',
      when: undefined,
      cause: { cause: 'bind_before_connect', ports: 340 },
    })
    expect(judge(360)[0]?.when).toMatch(/^perhaps failing: /)
    // What is known to fill a pool stays its cause, however little is in doubt.
    const churn = { cause: 'churn', ports: 380, owners: [] } as const
    const full = { ...connect(3), availablePorts: 18, utilizationRatio: 0.955, cause: churn }
    const told = diagnose(buildHost({ pools: [full] }), linux).pools[0]
    expect(told).toMatchObject({ verdict: 'watch', cause: { cause: 'churn', ports: 380 } })
    expect(told?.explanation).not.toContain('The kernel does not list')
    expect(told?.explanation).not.toContain('The kernel recycles')
  })

  test('names the right that is missing where a remedy, or a fix, has no command', () => {
    const pool = buildPool({
      capacityPorts: 400,
      availablePorts: 0,
      cause: { cause: 'many_connections', ports: 400, owners: [] },
    })
    const state = buildState({
      pools: [pool],
      settings: buildSettings({ firstPort: 40_000, lastPort: 40_399 }),
    })
    const { pools, findings } = diagnose(
      buildSnapshot({
        namespaces: [buildNamespace({ netnsKind: 'pod', inode: undefined, state })],
      }),
      linux,
    )
    expect(pools[0]?.remedies[0]?.command).toBeUndefined()
    expect(pools[0]?.remedies[0]?.missing).toContain('CAP_SYS_PTRACE')
    const range = findings.find(({ what }) => what.includes('fewer than the usual'))
    expect(range?.commands).toEqual([])
    expect(range?.fix).toMatch(/^Widen the range, .*CAP_SYS_PTRACE/)
  })

  test('joins equal findings and keeps the command of the first', () => {
    const state = buildState({ settings: buildSettings({ firstPort: 40_000, lastPort: 40_399 }) })
    const pods = ['pod/a/b', 'pod/a/c'].map((netns, i) =>
      buildNamespace({ netns, netnsKind: 'pod', state, entrance: { name: undefined, pid: 8 + i } }),
    )
    const { findings } = diagnose(buildSnapshot({ namespaces: pods }), {
      ...linux,
      listenPorts: [],
    })
    const small = findings.filter(({ what }) => what.startsWith('the port range'))
    expect(small.map(({ namespaces }) => namespaces)).toEqual([['pod/a/b', 'pod/a/c']])
    expect(small[0]?.commands).toHaveLength(1)
    expect(small[0]?.commands[0]).toMatch(/^nsenter -t 8 -n /)
  })

  test('leaves out a namespace that vanished while it was read', () => {
    const gone = unread('pod/a/b', { failure: { reason: 'vanished', message: 'ENOENT' } })
    const { findings, namespaces, severity } = diagnose(
      buildSnapshot({ namespaces: [buildNamespace(), gone] }),
      linux,
    )
    expect(namespaces).toEqual({ total: 1, unread: 0 })
    expect(severity).toBe('ok')
    expect(JSON.stringify(findings)).not.toContain('pod/a/b')
  })

  test("looks for the exporter's own port in the namespace where it listens, and in no other", () => {
    const namespaces = [buildNamespace(), withPools('pod/a/b')]
    const { findings } = diagnose(buildSnapshot({ namespaces }), {
      ...linux,
      listenPorts: [40_000],
    })
    const own = findings.filter(({ what }) => what.includes('own port'))
    expect(own.map((one) => one.namespaces)).toEqual([['host']])
  })

  test('says of a quiet namespace only what is wrong with it', () => {
    const namespaces = [buildNamespace(), withPools('pod/a/b', buildPool())]
    const { findings } = diagnose(buildSnapshot({ namespaces }), linux)
    expect(findings.filter((one) => one.namespaces.includes('pod/a/b'))).toEqual([])
  })

  test('names the right that is missing where only the others are upper bounds', () => {
    const state = buildState({ ...procfs, entered: false })
    const pod = buildNamespace({ netns: 'pod/a/b', netnsKind: 'pod', detailed: false, state })
    const { findings } = diagnose(buildSnapshot({ namespaces: [buildNamespace(), pod] }), linux)
    const fixes = findings.filter((one) => one.namespaces.includes('pod/a/b')).map(({ fix }) => fix)
    expect(fixes.join()).toContain('CAP_SYS_ADMIN')
  })
})

describe('the headline', () => {
  test.each<[string, Namespace[]]>([
    [
      '2 of 3 namespaces have no port left',
      [withPools('a', empty), withPools('b', empty), withPools('c')],
    ],
    ['1 of 2 namespaces has no port left, 1 cannot be read', [withPools('a', empty), unread('b')]],
    ['1 of 2 namespaces is about to run out of ports', [withPools('a', risky), withPools('b')]],
    ['1 of 1 namespace needs watching', [withPools('a', buildPool({ slow: true }))]],
    ['All 2 namespaces have enough ports', [withPools('a'), withPools('b')]],
    ['No namespace can be read', [unread('a'), unread('b')]],
    ['The namespace cannot be read', [unread('a')]],
    ['No namespace is known yet', []],
  ])('%s', (headline, namespaces) => {
    expect(diagnose(buildSnapshot({ namespaces }), linux).headline).toBe(headline)
  })

  test('says nothing of a full tcp_bind alone but that it needs watching', () => {
    const full = buildPool({ pool: 'tcp_bind', availablePorts: 0 })
    const { headline, severity } = diagnose(
      buildSnapshot({ namespaces: [withPools('a', full)] }),
      linux,
    )
    expect([headline, severity]).toEqual(['1 of 1 namespace needs watching', 'warning'])
  })
})

describe('the pools', () => {
  test('come worst first: what fails, then what fails soonest, then the fullest', () => {
    const soon = { ...risky, etaSeconds: 60 }
    const full = buildPool({ availablePorts: 5000 })
    const namespaces = [
      withPools('a', full),
      withPools('b', risky),
      withPools('c', empty),
      withPools('d', soon),
    ]
    const { pools } = diagnose(buildSnapshot({ namespaces }), linux)
    expect(pools.map(({ netns, verdict }) => `${netns} ${verdict}`)).toEqual([
      'c exhausted',
      'd at_risk',
      'b at_risk',
      'a watch',
    ])
  })

  test('count the failures since the sample before, and fail now and then without being full', () => {
    const failing = (total: number) =>
      buildSnapshot({
        namespaces: [
          buildNamespace({
            allocationFailures: { pools: [{ pool: 'tcp_connect', total }], destinations: [] },
          }),
        ],
      })
    const { pools } = diagnose(failing(9), linux, failing(2))
    expect(pools.map(({ failedAllocations, when }) => [failedAllocations, when])).toEqual([
      [7, 'failing now and then, 7 failures since the last sample'],
    ])
    expect(diagnose(failing(9), linux, failing(9)).pools).toEqual([])
    expect(diagnose(failing(9), linux).pools).toEqual([])
  })
})
