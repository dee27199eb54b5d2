// What the forecast says of some courses every minute, and what its risk is made of every five: it changes where it is
// meant to, and nowhere else.

import { expect, test } from 'vitest'
import {
  advanceForecast,
  advanceTracks,
  type ForecastInput,
  type ForecastState,
} from '../../../src/model/forecast/forecast.ts'
import { takeSignals } from '../../../src/model/forecast/signals.ts'
import { listParts } from '../../../src/model/forecast/track.ts'
import { createUniform } from '../../support/program/random.ts'
import { listMoments, OPTIONS, type Pool, readPool } from './forecast-play.ts'

/** Ports that come and go around a level, the same in each run. */
function shaky(seed: number, level: (atSeconds: number) => number) {
  const draws = Array.from({ length: 4096 }, createUniform(seed))
  const chance = (at: number) => draws[Math.abs(Math.floor(at)) % draws.length] ?? 0
  return (at: number) => {
    const mean = Math.max(0, level(at))
    return mean + Math.sqrt(mean) * 3.4 * (chance(at) - 0.5)
  }
}

interface Course extends Pool {
  readonly interval?: number
  readonly seconds?: number
  readonly change?: (input: ForecastInput) => ForecastInput
}

const later = (from: number, perSecond: number) => (at: number) =>
  perSecond * Math.max(0, at - from)

const courses: Readonly<Record<string, Course>> = {
  'a busy pool that stays as it is': {
    closes: shaky(1, () => 425),
    live: shaky(2, () => 900),
  },
  'a leak beside churn': {
    closes: shaky(3, () => 250),
    live: shaky(4, (at) => 300 + later(400, 6)(at)),
  },
  'a rate of connections that grows, and stops': {
    closes: shaky(5, (at) => Math.min(440, 150 + later(120, 0.3)(at))),
    live: shaky(6, () => 200),
  },
  'a step that is not the last': {
    closes: shaky(7, (at) => (at < 300 ? 250 : at < 900 ? 350 : at < 1500 ? 430 : 300)),
    interval: 10,
  },
  'a pile every five minutes, each higher than the last': {
    live: shaky(8, (at) => (17_000 + 2 * at) * ((at % 300) / 300) + 2000),
    seconds: 4200,
  },
  'a few ports, nearly all of them held, after a gap': {
    capacityPorts: 200,
    live: shaky(9, (at) => 120 + later(900, 0.05)(at)),
    change: (input) => ({
      ...input,
      atSeconds: input.atSeconds + (input.atSeconds > 1200 ? 600 : 0),
      range: input.atSeconds > 1500 ? 'another' : 'first',
    }),
  },
  'ports that are closed to all, while TIME_WAITs can be recycled': {
    closes: shaky(10, () => 200),
    live: shaky(11, () => 1000),
    change: (input) => {
      const blockedPorts = Math.round(later(300, 8)(input.atSeconds))
      const tracks = input.tracks.map((track) => ({
        ...track,
        availablePorts: track.availablePorts - blockedPorts,
        reclaimablePorts: Math.round(track.timeWaitPorts / 2),
      }))
      return { ...input, blockedPorts, reuseDelaySeconds: 1, tracks }
    },
  },
  'one destination of many that overtakes, of which the others rest': {
    closes: shaky(12, () => 100),
    change: (input) => {
      const small = (key: string, livePorts: number) => ({
        ...{ key, livePorts, timeWaitPorts: 0, reclaimablePorts: 0, expiring: [] },
        availablePorts: input.capacityPorts - livePorts,
        earlier: { livePorts, meanPorts: livePorts / 2, sinceSeconds: 0 },
      })
      const others = Array.from({ length: 5 }, (_, at) => small(`small ${at}`, 100 * at))
      const grown = Math.round(later(900, 20)(input.atSeconds))
      const growing = input.atSeconds < 600 ? [] : [small('growing', 40 + grown)]
      return { ...input, tracks: [...input.tracks, ...others, ...growing] }
    },
  },
  'TIME_WAITs without timers, seldom looked at': {
    closes: shaky(13, (at) => 200 + later(600, 0.2)(at)),
    live: shaky(14, () => 3000),
    interval: 45,
    seconds: 5400,
    change: (input) => ({
      ...input,
      tracks: input.tracks.map((track) => ({ ...track, expiring: [] })),
    }),
  },
  'a destination that was followed from afar before': {
    closes: shaky(15, (at) => 220 + later(120, 0.6)(at)),
    live: shaky(16, () => 800),
    interval: 2,
    seconds: 600,
    change: (input) => {
      const earlier = { livePorts: 700, meanPorts: 9000, sinceSeconds: -2000 }
      const tracks = input.tracks.map((track) => ({ ...track, key: 'late', earlier }))
      return { ...input, tracks: input.atSeconds < 60 ? [] : tracks }
    },
  },
}

/** Three digits, and nothing of what is smaller than a millionth. */
function round(value: number | undefined): string {
  if (value === undefined) return '-'
  return String(value < 1e-6 ? 0 : Number(value.toPrecision(3)))
}

const LOOKS = [60, 900, 7200]

/** What the risk of each track is made of. */
function explain(before: ForecastState | undefined, input: ForecastInput): string[] {
  const { tracks } = advanceTracks(before, input)
  return tracks.flatMap(({ track, state }) => {
    const parts = listParts(state, track, { ...input, destinations: tracks.length })
    const { points } = state.history
    const [first, last] = [points[0], points.at(-1)]
    const sum = points.reduce((all, one) => all + one.closedPorts + one.livePorts, 0)
    const { ended, turn } = state.piles
    return [
      `  track "${track.key}": ${points.length} points from ${first?.atSeconds} s, ` +
        `${Math.round(last?.closedPorts ?? 0)} closed, ${Math.round(sum)} in all, ` +
        `${ended.length} peaks, turn at ${turn.atSeconds} s`,
      ...(takeSignals(parts, LOOKS) ?? []).map((row, at) => {
        const values = row.map((value) => Number(value.toFixed(2)) + 0)
        return `    in ${LOOKS[at]} s: ${values.join(' ')}`
      }),
    ]
  })
}

test('the forecast of each course is as it was', async () => {
  const pages = Object.entries(courses).map(([name, course]) => {
    const { interval = 5, seconds = 2400, change = (input) => input } = course
    const inputs = listMoments(seconds, interval).map((at) => change(readPool(course, at)))
    let state: ForecastState | undefined
    const lines = inputs.flatMap((input, at) => {
      const before = state
      const next = advanceForecast(before, input, OPTIONS)
      state = next.state
      const { riskRatio, etaSeconds } = next.forecast
      if (at >= 5 && (at * interval) % 60 !== 0) return []
      const told = `${input.atSeconds} s: risk ${round(riskRatio)}, ${round(etaSeconds)} s left`
      return (at * interval) % 300 === 0 ? [told, ...explain(before, input)] : [told]
    })
    const end = `${state?.tracks.length} followed, ${state?.resting.length} at rest`
    return `# ${name}\n${lines.join('\n')}\n${end}\n`
  })
  await expect(pages.join('\n')).toMatchFileSnapshot('golden/courses.txt')
})
