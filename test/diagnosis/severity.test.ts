import { describe, expect, test } from 'vitest'
import { describeExitStatus, judgePool, worstOf } from '../../src/diagnosis/severity.ts'
import type { Pool } from '../../src/snapshot.ts'
import { buildPool } from '../support/render/cli-snapshot.ts'

describe('judgePool()', () => {
  test.each<[string, Partial<Pool>, string]>([
    ['is ok when empty', {}, 'ok ok'],
    ['is ok just below 80 %', { availablePorts: 201 }, 'ok ok'],
    ['warns at 80 %', { availablePorts: 200 }, 'watch warning'],
    ['is critical at 95 %', { availablePorts: 50 }, 'watch critical'],
    ['is critical when exhausted', { availablePorts: 0, riskRatio: 1 }, 'exhausted critical'],
    ['is critical without capacity', { capacityPorts: 0 }, 'exhausted critical'],
    ['is ok at low risk', { riskRatio: 0.19, etaSeconds: 60 }, 'ok ok'],
    ['warns at a risk of 0.2', { riskRatio: 0.2 }, 'at_risk warning'],
    ['warns at high risk that is far away', { riskRatio: 0.9, etaSeconds: 900 }, 'at_risk warning'],
    [
      'is critical at 0.75 within 15 minutes at 80 %',
      { riskRatio: 0.75, etaSeconds: 899, availablePorts: 200 },
      'at_risk critical',
    ],
    [
      'warns below 80 %',
      { riskRatio: 0.9, etaSeconds: 60, availablePorts: 201 },
      'at_risk warning',
    ],
    [
      'warns below 0.75',
      { riskRatio: 0.74, etaSeconds: 60, availablePorts: 200 },
      'at_risk warning',
    ],
    ['warns on the slow path', { slow: true }, 'watch warning'],
    [
      'says the worst of several',
      { availablePorts: 150, riskRatio: 0.99, etaSeconds: 60, slow: true },
      'at_risk critical',
    ],
    ['judges udp like tcp_connect', { pool: 'udp', availablePorts: 0 }, 'exhausted critical'],
    [
      'only warns of an exhausted tcp_bind',
      { pool: 'tcp_bind', availablePorts: 0 },
      'exhausted warning',
    ],
    [
      'is critical where programs that bind have exhausted tcp_bind',
      {
        pool: 'tcp_bind',
        availablePorts: 0,
        cause: { cause: 'bind_before_connect', ports: 1000, owners: [] },
      },
      'exhausted critical',
    ],
    [
      'lets tcp_bind fill up',
      { pool: 'tcp_bind', availablePorts: 1, riskRatio: 1, etaSeconds: 1 },
      'ok ok',
    ],
  ])('%s', (_name, part, want) => {
    const { verdict, severity } = judgePool(buildPool({ capacityPorts: 1000, ...part }))
    expect(`${verdict} ${severity}`).toBe(want)
  })
})

describe('worstOf()', () => {
  test('is the most severe, and ok of none', () => {
    expect(worstOf([])).toBe('ok')
    expect(worstOf(['note', 'critical', 'warning'])).toBe('critical')
  })
})

describe('describeExitStatus()', () => {
  test('explains the four values with the thresholds in force', () => {
    const meanings = describeExitStatus().map(([code, meaning]) => `${code} ${meaning}`)
    expect(meanings).toHaveLength(4)
    expect(meanings[1]).toMatch(/^1 warning: any pool but tcp_bind at 80 % or more, risk 0\.2/)
    expect(meanings[2]).toMatch(
      /at 95 % or more, tcp_bind .*, or risk 0\.75 or more at 80 % or more .* within 15m$/,
    )
  })
})
