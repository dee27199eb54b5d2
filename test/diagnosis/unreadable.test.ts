import { describe, expect, test } from 'vitest'
import { diagnose } from '../../src/diagnosis/diagnose.ts'
import type { Namespace } from '../../src/snapshot.ts'
import { buildNamespace, buildSnapshot, buildState, linux } from '../support/render/cli-snapshot.ts'

const failure = { reason: 'permission', message: 'Cannot enter /proc/7/ns/net: EPERM' } as const
const unread = (netns: string, part: Partial<Namespace> = {}) =>
  buildNamespace({ netns, netnsKind: 'pod', state: undefined, failure, ...part })
/** What the text of /proc shows. */
const procfs = { reader: 'procfs', exactness: 'upper_bound', readerIsExact: false } as const

describe('a namespace that may not be looked into', () => {
  test('makes one finding of 33 namespaces that lack the same right', () => {
    const pods = Array.from({ length: 33 }, (_, i) =>
      unread(`pod/a/${i}`, {
        failure: { reason: 'permission', message: `Cannot enter /proc/${i}/ns/net: EPERM` },
      }),
    )
    const { findings, headline, severity } = diagnose(
      buildSnapshot({ namespaces: [buildNamespace(), ...pods] }),
      linux,
    )
    const [first] = findings
    expect(first?.namespaces).toHaveLength(33)
    expect(first?.fix).toContain('CAP_SYS_ADMIN')
    expect(findings.filter(({ what }) => what.includes('cannot be read'))).toHaveLength(1)
    expect(headline).toBe('1 of 34 namespaces has enough ports, 33 cannot be read')
    expect([first?.severity, severity]).toEqual(['note', 'note'])
  })

  test('tells nobody to give rights where only another source would help', () => {
    const own = buildNamespace({ state: buildState({ ...procfs, entered: false }) })
    const failure = { reason: 'permission', message: 'only netlink enters others' } as const
    const { findings } = diagnose(
      buildSnapshot({ namespaces: [own, unread('named/a', { failure })] }),
      linux,
    )
    const finding = findings.find(({ what }) => what.startsWith('cannot be read'))
    expect(finding?.fix).toMatch(/^Use --source=auto/)
  })

  test.each([
    // tcp_diag is missing: the text of /proc is read from inside.
    { what: 'reads /proc', ...procfs },
    { what: 'nobody has heard of', ...procfs, reader: 'systeminformation' as const },
  ])('tells of rights where the source that enters namespaces $what', ({ what: _, ...read }) => {
    const own = buildNamespace({ state: buildState({ ...read, entered: true }) })
    const failure = { reason: 'permission', message: 'setns: EPERM' } as const
    const { findings } = diagnose(
      buildSnapshot({ namespaces: [own, unread('named/a', { failure })] }),
      linux,
    )
    const finding = findings.find(({ what }) => what.startsWith('cannot be read'))
    expect(finding?.fix).toContain('CAP_SYS_ADMIN')
  })
})
