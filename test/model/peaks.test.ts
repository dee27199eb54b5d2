import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { advancePeak, type PeakSample } from '../../src/model/peaks.ts'

const WINDOW_SECONDS = 60

function play(samples: readonly PeakSample[]): readonly PeakSample[] {
  return samples.reduce<readonly PeakSample[]>(
    (kept, sample) => advancePeak(kept, sample, WINDOW_SECONDS),
    [],
  )
}

const peak = (...samples: readonly (readonly [atSeconds: number, value: number])[]) =>
  play(samples.map(([atSeconds, value]) => ({ atSeconds, value })))[0]?.value

const history = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 9 })), {
    minLength: 1,
    maxLength: 60,
  })
  .map((draws) => {
    let atSeconds = 0
    return draws.map(([pause, value]): PeakSample => {
      atSeconds += pause
      return { atSeconds, value }
    })
  })

describe('advancePeak()', () => {
  test('is the first sample when there is no other', () => {
    expect(peak([0, 0.3])).toBe(0.3)
  })

  test('remembers a peak throughout the window', () => {
    expect(peak([0, 0.9], [5, 0.1], [59, 0.2])).toBe(0.9)
  })

  test('forgets a peak as old as the window, and then shows the next highest', () => {
    expect(peak([0, 0.9], [5, 0.1], [10, 0.4], [15, 0.2], [60, 0.3])).toBe(0.4)
  })

  test('takes a higher sample at once', () => {
    expect(peak([0, 0.4], [5, 0.9])).toBe(0.9)
  })

  test('lets a peak that is reached again last a whole window from then', () => {
    expect(peak([0, 0.9], [50, 0.9], [100, 0.1])).toBe(0.9)
  })

  test('is the maximum of the trailing window, and keeps nothing that cannot become it', () => {
    fc.assert(
      fc.property(history, (samples) => {
        const now = samples.at(-1)?.atSeconds ?? 0
        const inWindow = samples.filter(({ atSeconds }) => atSeconds > now - WINDOW_SECONDS)
        const kept = play(samples)
        expect(kept[0]?.value).toBe(Math.max(...inWindow.map(({ value }) => value)))
        const values = kept.map(({ value }) => value)
        expect(values).toEqual([...new Set(values)].sort((left, right) => right - left))
      }),
    )
  })
})
