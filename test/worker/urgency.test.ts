import { describe, expect, test } from 'vitest'
import { judgeUrgency, type Standing } from '../../src/worker/urgency.ts'
import { buildPool, buildState } from '../support/render/cli-snapshot.ts'

const usablePorts = buildState().settings.usablePorts
const stateAt = (utilizationRatio: number) =>
  buildState({ pools: [buildPool(), buildPool({ pool: 'udp', utilizationRatio })] })
const calm: Standing = {
  own: false,
  state: stateAt(0.1),
  failed: false,
  boundPorts: 10,
  usablePorts,
  failing: false,
}

describe('judgeUrgency()', () => {
  test('lets a namespace wait that can hold few ports and held few', () => {
    expect(judgeUrgency(calm)).toBe('turn')
    expect(judgeUrgency({ ...calm, boundPorts: 0.2 * usablePorts - 1 })).toBe('turn')
  })

  test.each<[string, Partial<Standing>]>([
    ['our own', { own: true }],
    ['one that could not be read', { failed: true }],
    ['one of which no bound is known', { boundPorts: undefined }],
    ['one that can hold a fifth of its ports', { boundPorts: Math.ceil(0.2 * usablePorts) }],
    ['one that was busy when it was last read', { state: stateAt(0.15), boundPorts: 0 }],
    ['one in which allocations fail', { failing: true }],
    [
      'one that was to run out within the hour',
      {
        state: buildState({
          pools: [buildPool({ utilizationRatio: 0.1, riskRatio: 0, etaSeconds: 3599 })],
        }),
      },
    ],
    [
      'one that was heading for exhaustion when it was last read',
      { state: buildState({ pools: [buildPool({ utilizationRatio: 0.1, riskRatio: 0.1 })] }) },
    ],
    [
      'a new one that can hold a fifth of its ports',
      { state: undefined, boundPorts: 20, usablePorts: 100 },
    ],
    [
      'a new one of unknown range that can hold thousands',
      { state: undefined, boundPorts: 5647, usablePorts: undefined },
    ],
  ])('reads %s at once', (_what, part) => {
    expect(judgeUrgency({ ...calm, ...part })).toBe('now')
  })

  test('lets an unknown one with few sockets wait for its first turn', () => {
    expect(judgeUrgency({ ...calm, state: undefined })).toBe('first')
  })
})
