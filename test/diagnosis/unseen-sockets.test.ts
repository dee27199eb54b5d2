import { describe, expect, test } from 'vitest'
import { diagnose } from '../../src/diagnosis/diagnose.ts'
import type { Namespace } from '../../src/snapshot.ts'
import {
  buildNamespace,
  buildPool,
  buildSettings,
  buildSnapshot,
  buildState,
  linux,
} from '../support/render/cli-snapshot.ts'

describe('where sockets that are only bound cannot be seen', () => {
  const risky = buildNamespace({
    netns: 'b',
    state: buildState({
      pools: [buildPool({ availablePorts: 4000, riskRatio: 0.9, etaSeconds: 240 })],
    }),
  })
  const blind = (netns: string, failed?: number) =>
    buildNamespace({
      netns,
      state: buildState({ exactness: 'upper_bound', pools: [buildPool()] }),
      allocationFailures:
        failed === undefined
          ? undefined
          : { pools: [{ pool: 'tcp_connect', total: failed }], destinations: [] },
    })
  const look = (namespaces: Namespace[], before: Namespace[] = namespaces) =>
    diagnose(buildSnapshot({ namespaces }), linux, buildSnapshot({ namespaces: before }))

  test('nobody says that all is well', () => {
    const alone = 'No shortage of ports is in sight, but sockets that are only bound cannot be seen'
    expect(look([blind('a')])).toMatchObject({ severity: 'note', headline: alone, pools: [] })
    const { severity, headline } = look([buildNamespace(), blind('a'), risky])
    expect([severity, headline]).toEqual([
      'critical',
      '1 of 3 namespaces is about to run out of ports',
    ])
    expect(look([buildNamespace(), blind('a')]).headline).toBe(`${alone} in 1 of 2 namespaces`)
  })

  test('failures are a warning of their own', () => {
    expect(look([blind('a', 20)], [blind('a', 3)])).toMatchObject({
      severity: 'warning',
      headline: '1 of 1 namespace needs watching',
      pools: [{ failedAllocations: 17, severity: 'warning' }],
    })
    expect(look([blind('a', 20)])).toMatchObject({ severity: 'note', pools: [] })
  })
})

test('where TIME_WAITs hold most ports and may not be recyclable, that is what is in doubt', () => {
  const cause = { cause: 'churn', ports: 99, owners: [] } as const
  const bind = buildPool({ pool: 'tcp_bind', capacityPorts: 100, availablePorts: 0, cause })
  const look = (reclaimablePorts: number) => {
    const ports = { capacityPorts: 100, availablePorts: 99, uncertainPorts: 99 }
    const connect = buildPool({ ...ports, reclaimablePorts })
    const settings = buildSettings({ firstPort: 40_000, lastPort: 40_099, tcpTwReuse: 2 })
    const state = buildState({ pools: [connect, bind], settings })
    const namespaces = [buildNamespace({ state })]
    const { pools } = diagnose(buildSnapshot({ namespaces }), linux)
    return pools.find(({ pool }) => pool === 'tcp_connect')
  }
  const told = look(99)
  expect(told?.because).toBe('99 of 100 ports may be held by TIME_WAITs that cannot be recycled')
  expect(told?.explanation).toContain('recycles a TIME_WAIT only where the peer has TCP timestamps')
  expect(told?.explanation).not.toContain('CAP_BPF')
  expect(told?.runbookUrl).toContain('/EphemeralPortPoolMayBeFull.md')
  expect(look(0)?.because).toContain('whose port was bound first')
})
