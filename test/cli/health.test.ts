import { describe, expect, test } from 'vitest'
import { describeExitStatus, judgePool, judgeSnapshot } from '../../src/cli/health.ts'
import type { Pool } from '../../src/snapshot.ts'
import {
  buildHost,
  buildNamespace,
  buildPool,
  buildSnapshot,
  upstream,
} from '../support/render/cli-snapshot.ts'

/** A pool of 1,000 ports. */
function judge(part: Partial<Pool>) {
  return judgePool(buildPool({ capacityPorts: 1000, ...part }))
}

describe('judgePool()', () => {
  test.each<[string, Partial<Pool>, string, string[]]>([
    ['is ok when empty', {}, 'ok', []],
    ['is ok just below 80 %', { availablePorts: 201 }, 'ok', []],
    ['warns at 80 %', { availablePorts: 200 }, 'warning', ['80.0% used']],
    ['is critical at 95 %', { availablePorts: 50 }, 'critical', ['95.0% used']],
    ['is critical when exhausted', { availablePorts: 0, riskRatio: 1 }, 'critical', ['exhausted']],
    ['is critical without capacity', { capacityPorts: 0 }, 'critical', ['exhausted']],
    ['is ok at low risk', { riskRatio: 0.19, etaSeconds: 60 }, 'ok', []],
    ['warns at a risk of 0.2', { riskRatio: 0.2 }, 'warning', ['exhaustion expected (risk 0.20)']],
    [
      'warns at high risk that is far away',
      { riskRatio: 0.9, etaSeconds: 900 },
      'warning',
      ['exhaustion expected in 15m (risk 0.90)'],
    ],
    [
      'is critical at a risk of 0.5 within 15 minutes',
      { riskRatio: 0.5, etaSeconds: 899 },
      'critical',
      ['exhaustion expected in 14m59s (risk 0.50)'],
    ],
    ['warns on the slow path', { slow: true }, 'warning', ['connect() is slow']],
    [
      'names all reasons, the worst first',
      { availablePorts: 150, riskRatio: 0.99, etaSeconds: 60, slow: true },
      'critical',
      ['exhaustion expected in 1m (risk 0.99)', '85.0% used', 'connect() is slow'],
    ],
    ['judges udp like tcp_connect', { pool: 'udp', availablePorts: 0 }, 'critical', ['exhausted']],
    [
      'only warns of an exhausted tcp_bind',
      { pool: 'tcp_bind', availablePorts: 0 },
      'warning',
      ['exhausted'],
    ],
    [
      'lets tcp_bind fill up',
      { pool: 'tcp_bind', availablePorts: 1, riskRatio: 1, etaSeconds: 1 },
      'ok',
      [],
    ],
  ])('%s', (_name, part, health, reasons) => {
    expect(judge(part)).toStrictEqual({ health, reasons })
  })
})

describe('judgeSnapshot()', () => {
  test('names namespace, pool and destination, the worst first', () => {
    const pools = [
      buildPool({ pool: 'tcp_bind', availablePorts: 0 }),
      buildPool({ availablePorts: 0, worstDestination: upstream }),
    ]
    expect(judgeSnapshot(buildHost({ pools }))).toStrictEqual({
      health: 'critical',
      reasons: [
        'host tcp_connect to 10.0.0.9:443 from 10.0.0.5: exhausted',
        'host tcp_bind: exhausted',
      ],
    })
  })

  test('warns of a namespace that could not be read beside one that could', () => {
    const failure = { reason: 'timeout', message: 'No answer in 2 s' } as const
    const unread = buildNamespace({ netns: 'self', state: undefined, failure })
    expect(judgeSnapshot(buildSnapshot({ namespaces: [buildNamespace(), unread] }))).toStrictEqual({
      health: 'warning',
      reasons: ['self could not be read: No answer in 2 s (timeout)'],
    })
  })
})

describe('describeExitStatus()', () => {
  test('explains the four values with the thresholds in force', () => {
    expect(describeExitStatus()).toStrictEqual([
      [0, 'healthy'],
      [
        1,
        'warning: tcp_connect or udp at 80 % or more, risk 0.2 or more, connect() slow, tcp_bind exhausted, ' +
          'or one of several namespaces could not be read',
      ],
      [
        2,
        'critical: tcp_connect or udp exhausted, at 95 % or more, or risk 0.5 or more with exhaustion expected within 15m',
      ],
      [3, 'nothing could be read, or bad usage'],
    ])
  })
})
