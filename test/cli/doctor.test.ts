import { describe, expect, test } from 'vitest'
import { diagnose } from '../../src/cli/doctor.ts'
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

describe('diagnose()', () => {
  test('says what is ok on a quiet host', () => {
    const findings = diagnose(buildSnapshot(), linux)
    expect(
      findings.map(({ severity, netns, what }) => `${severity} ${netns} ${what}`),
    ).toStrictEqual([
      'ok host tcp_connect: 28232 of 28232 ports available',
      'ok host tcp_bind: 28232 of 28232 ports available',
      'ok host udp: 28232 of 28232 ports available',
      "ok host TIME_WAIT withholds no destination's ports (tcp_tw_reuse=2, tcp_timestamps=1)",
      'ok host nothing listens inside 32768-60999 without being reserved',
      'ok host the port range 32768-60999 has 28232 ports',
      'ok host netlink sees every socket that holds a port',
    ])
  })

  test('says of every problem why it is one and what to do', () => {
    const findings = diagnose(
      buildHost({
        exactness: 'upper_bound',
        settings: buildSettings({ firstPort: 40_000, lastPort: 40_100, tcpTwReuse: 0 }),
        blockedPorts: { listener: 1, bound: 50 },
        pools: [
          buildPool({ availablePorts: 0, worstDestination: upstream }),
          buildPool({ slow: true }),
          buildPool({ pool: 'tcp_bind', availablePorts: 0 }),
          buildPool({ pool: 'udp', availablePorts: 0 }),
        ],
        protocols: [buildUse({ listeners: 1 }), buildUse({ protocol: 'udp' })],
        listeners: [{ protocol: 'tcp', port: 40_000, owner: 'a' }],
      }),
      { ...linux, listenPorts: [40_001] },
    ).filter(({ severity }) => severity !== 'ok')
    expect(findings).toHaveLength(10)
    for (const { why, fix } of findings) {
      expect(why).toMatch(/^.{20,}\.$/s)
      expect(fix).toMatch(/^.{20,}[.:]$/s)
    }
  })

  test.each([
    ['netlink', 'linux', /Linux 6\.8/],
    ['procfs', 'linux', /--source=auto/],
    ['systeminformation', 'linux', /--source=auto/],
    ['systeminformation', 'win32', /^$/],
  ] as const)('says what makes %s on %s exact', (reader, platform, fix) => {
    const findings = diagnose(buildHost({ exactness: 'upper_bound', reader }), {
      ...linux,
      platform,
    })
    const finding = findings.find(({ what }) => what === 'fewer ports may be available than shown')
    expect(finding?.severity).toBe('note')
    expect(finding?.fix).toMatch(fix)
  })

  test('reports a namespace that could not be read, and the others all the same', () => {
    const failure = { reason: 'permission', message: 'Cannot open netlink: EPERM' } as const
    const unread = buildNamespace({ netns: 'self', state: undefined, failure })
    const findings = diagnose(buildSnapshot({ namespaces: [unread, buildNamespace()] }), linux)
    expect(findings[0]).toStrictEqual({
      severity: 'critical',
      netns: 'self',
      what: 'could not be read (permission)',
      why: 'Cannot open netlink: EPERM',
      fix: 'Run as root or grant the right that the message names.',
      commands: [],
    })
    expect(findings.filter(({ netns }) => netns === 'host')).toHaveLength(7)
  })
})

describe('diagnose() of a node', () => {
  const facts = { platform: 'linux', listenPorts: [] }

  test('says of a quiet namespace only what is wrong with it', () => {
    const quiet = buildNamespace({ netns: 'pod/a/b', netnsKind: 'pod', detailed: false })
    const findings = diagnose(buildSnapshot({ namespaces: [buildNamespace(), quiet] }), facts)
    expect(findings.filter(({ netns }) => netns === 'pod/a/b')).toEqual([])
    expect(findings.filter(({ netns }) => netns === 'host')).not.toEqual([])
  })

  test('names the right that is missing where only the others are upper bounds', () => {
    const state = buildState({ reader: 'procfs', exactness: 'upper_bound', rangeOrigin: 'default' })
    const pod = buildNamespace({ netns: 'pod/a/b', netnsKind: 'pod', detailed: false, state })
    const findings = diagnose(buildSnapshot({ namespaces: [buildNamespace(), pod] }), facts)
    const fixes = (all: typeof findings) =>
      all.filter(({ netns }) => netns === 'pod/a/b').map(({ fix }) => fix)
    expect(fixes(findings).join()).toContain('CAP_SYS_ADMIN')
    const alone = diagnose(buildSnapshot({ namespaces: [pod] }), facts)
    expect(fixes(alone).join()).toContain('koffi')
  })
})
