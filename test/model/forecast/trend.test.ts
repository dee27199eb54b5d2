import { describe, expect, test } from 'vitest'
import { takeFading } from '../../../src/model/forecast/courses.ts'
import type { Point } from '../../../src/model/forecast/points.ts'
import { takeTrend } from '../../../src/model/forecast/trend.ts'
import { createRandom } from '../../bench/forecast/random.ts'

const KNOWN = { lifetimeSeconds: 60, seenFromSeconds: 0, destinations: 1 }

/** Every 5 s for so long; `rate`: closes per second. */
function draw(
  seconds: number,
  live: (at: number) => number,
  rate: (at: number) => number = () => 0,
): readonly Point[] {
  let closedPorts = 0
  return Array.from({ length: seconds / 5 + 1 }, (_, i) => {
    const atSeconds = i * 5
    if (i > 0) closedPorts += 5 * rate(atSeconds - 2.5)
    return { atSeconds, closedPorts, livePorts: live(atSeconds) }
  })
}

describe('takeTrend()', () => {
  test('is the demand of live ports and of closes, with the slope of both', () => {
    const trend = takeTrend(
      draw(
        600,
        (at) => 100 + at,
        (at) => 10 + at / 100,
      ),
      600,
      KNOWN,
    )
    expect(trend?.livePorts).toBeCloseTo(700)
    expect(trend?.liveSlope).toBeCloseTo(1)
    expect(trend?.demand).toBeCloseTo(700 + 60 * 16)
    expect(trend?.demandSlope).toBeCloseTo(1.6)
  })

  test('begins after a step, and does not call it a slope', () => {
    const points = draw(
      600,
      () => 100,
      (at) => (at < 300 ? 10 : 20),
    )
    const trend = takeTrend(points, 600, KNOWN)
    expect(trend?.demandSlope).toBeCloseTo(0)
    expect(trend?.demand).toBeCloseTo(100 + 60 * 20)
  })

  test('reads the noise off what the line leaves over, whatever made it', () => {
    const random = createRandom('noise')
    const errors = [5, 50].map((noise) => {
      const values = Array.from({ length: 121 }, () => noise * random.between(-1.7, 1.7))
      const trend = takeTrend(
        draw(600, (at) => 1000 + (values[at / 5] ?? 0)),
        600,
        KNOWN,
      )
      // Live ports of a span are the mean of two looks: half of the variance is left.
      expect(Math.sqrt(trend?.variance ?? 0)).toBeGreaterThan(0.5 * noise)
      expect(Math.sqrt(trend?.variance ?? 0)).toBeLessThan(noise)
      expect(Math.abs(trend?.demandSlope ?? 1)).toBeLessThan(3 * (trend?.slopeDeviation ?? 0))
      return trend?.slopeDeviation ?? 0
    })
    expect((errors[1] ?? 0) / (errors[0] ?? 1)).toBeGreaterThan(5)
  })

  test('sees nothing of a slope in what nobody looked at', () => {
    const points = draw(120, (at) => 1000 + 10 * Math.max(0, at - 60))
    const trend = takeTrend(points, 120, { ...KNOWN, seenFromSeconds: 60 })
    expect(trend?.liveSlope).toBeCloseTo(10, 0)
    expect(takeTrend([], 60, KNOWN)).toBeUndefined()
  })

  test('needs more of one that stands out of many', () => {
    const random = createRandom('crowd')
    const points = draw(600, () => 1000 + 50 * random.next())
    const [alone, chosen] = [1, 80].map((destinations) =>
      takeTrend(points, 600, { ...KNOWN, destinations }),
    )
    const ratio = (chosen?.slopeDeviation ?? 0) / (alone?.slopeDeviation ?? 1)
    expect(ratio).toBeGreaterThan(1.5)
    expect(ratio).toBeLessThan(2.5)
  })

  test('fades when its newer part is slower', () => {
    const points = draw(600, (at) => 1000 * (1 - Math.exp(-at / 200)))
    const [longer, shorter] = [takeTrend(points, 600, KNOWN), takeTrend(points, 180, KNOWN)]
    if (!longer || !shorter) throw new Error('There is no trend')
    expect(takeFading(longer, shorter)).toBeGreaterThan(1 / 400)
    expect(takeFading(shorter, longer)).toBe(0)
  })
})
