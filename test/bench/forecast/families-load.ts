// Families of load whose rate is what changes: steady, stepping, climbing, swinging, bursting.

import { createNoise, drawNormal, type Family, findTime, listTimes, serve } from './family.ts'
import type { Random } from './random.ts'

const drawHold = (random: Random) => random.betweenLog(0.1, 30)

export const loadFamilies: readonly Family[] = [
  {
    name: 'constant',
    ranges: 'steady at 20 to 80 %, holding 0.1 to 30 s',
    create: (random, { capacity }) => {
      const share = random.between(0.2, 0.8)
      return { traffic: [serve(capacity, drawHold(random), () => share)] }
    },
  },
  {
    name: 'constant and high',
    ranges: 'steady at 80 to 102 %',
    create: (random, { capacity }) => {
      const share = random.between(0.8, 1.02)
      return { traffic: [serve(capacity, drawHold(random), () => share)] }
    },
  },
  {
    name: 'step',
    ranges: 'from 10 to 60 % to 40 to 150 %',
    create: (random, { capacity, onset }) => {
      const [low, high] = [random.between(0.1, 0.6), random.between(0.4, 1.5)]
      return { traffic: [serve(capacity, drawHold(random), (at) => (at < onset ? low : high))] }
    },
  },
  {
    name: 'step that ends',
    ranges: 'from 10 to 50 % to 60 to 130 % for 20 s to 10 min',
    create: (random, { capacity, onset }) => {
      const [low, high] = [random.between(0.1, 0.5), random.between(0.6, 1.3)]
      const end = onset + random.betweenLog(20, 600)
      return {
        traffic: [serve(capacity, drawHold(random), (at) => (at < onset || at > end ? low : high))],
      }
    },
  },
  {
    name: 'staircase',
    ranges: 'a step of 3 to 12 % every 2 to 6 min up to 50 to 130 %',
    create: (random, { capacity, onset, until }) => {
      const [low, step, top] = [
        random.between(0.1, 0.4),
        random.between(0.03, 0.12),
        random.between(0.5, 1.3),
      ]
      const times = listTimes(onset, until, () => random.between(120, 360))
      const share = (at: number) => Math.min(top, low + step * (1 + findTime(times, at)))
      return { traffic: [serve(capacity, drawHold(random), share)] }
    },
  },
  {
    name: 'ramp',
    ranges: 'from 20 to 50 % by 0.5 to 6 % a minute to 50 to 130 %, then level',
    create: (random, { capacity, onset }) => {
      const [low, top] = [random.between(0.2, 0.5), random.between(0.5, 1.3)]
      const slope = random.betweenLog(0.005, 0.06) / 60
      const share = (at: number) => Math.min(top, low + slope * Math.max(0, at - onset))
      return { traffic: [serve(capacity, drawHold(random), share)] }
    },
  },
  {
    name: 'ramp that turns',
    ranges: 'up by 1 to 6 % a minute to 50 to 110 %, then down as fast',
    create: (random, { capacity, onset }) => {
      const [low, top] = [random.between(0.2, 0.5), random.between(0.5, 1.1)]
      const slope = random.betweenLog(0.01, 0.06) / 60
      const turn = onset + (top - low) / slope
      const share = (at: number) =>
        Math.max(low, at < turn ? low + slope * Math.max(0, at - onset) : top - slope * (at - turn))
      return { traffic: [serve(capacity, drawHold(random), share)] }
    },
  },
  {
    name: 'growth',
    ranges: 'exponential, doubling every 5 to 60 min from 20 to 50 %, until 60 to 130 %',
    create: (random, { capacity, onset }) => {
      const [low, top] = [random.between(0.2, 0.5), random.between(0.6, 1.3)]
      const doubling = random.betweenLog(300, 3600)
      const share = (at: number) => Math.min(top, low * 2 ** (Math.max(0, at - onset) / doubling))
      return { traffic: [serve(capacity, drawHold(random), share)] }
    },
  },
  {
    name: 'diurnal',
    ranges: 'sine around 30 to 60 %, amplitude 10 to 60 %, period 30 to 240 min',
    create: (random, { capacity }) => {
      const [mean, swing] = [random.between(0.3, 0.6), random.between(0.1, 0.6)]
      const [period, phase] = [random.betweenLog(1800, 14_400), random.between(0, 7)]
      const share = (at: number) => mean + swing * Math.sin((2 * Math.PI * at) / period + phase)
      return { traffic: [serve(capacity, drawHold(random), share)] }
    },
  },
  {
    name: 'wandering load',
    ranges: 'log-normal around 30 to 80 %, deviation 10 to 40 %, correlated over 2 to 30 min',
    create: (random, { capacity, until }) => {
      const mean = random.between(0.3, 0.8)
      const wave = createNoise(random, {
        deviation: random.between(0.1, 0.4),
        correlationSeconds: random.betweenLog(120, 1800),
        seconds: until,
      })
      return { traffic: [serve(capacity, drawHold(random), (at) => mean * wave(at))] }
    },
  },
  {
    name: 'flash crowd',
    ranges: 'rises over 20 s to 5 min from 20 to 50 % to 50 to 140 % and decays over 2 to 10 min',
    create: (random, { capacity, onset }) => {
      const [low, top] = [random.between(0.2, 0.5), random.between(0.5, 1.4)]
      const [rise, decay] = [random.betweenLog(20, 300), random.betweenLog(120, 600)]
      const share = (at: number) =>
        low +
        (top - low) *
          (at < onset
            ? 0
            : at < onset + rise
              ? (at - onset) / rise
              : Math.exp((onset + rise - at) / decay))
      return { traffic: [serve(capacity, drawHold(random), share)] }
    },
  },
  {
    name: 'regular bursts',
    ranges: '10 to 40 s every 60 to 300 s from 10 to 40 % to a rate of 80 to 400 %',
    create: (random, { capacity, until }) => createBursts(random, capacity, until, () => 1),
  },
  {
    name: 'irregular bursts',
    ranges: 'as regular ones, at random moments, each 50 to 130 % as high',
    create: (random, { capacity, until }) =>
      createBursts(random, capacity, until, () => random.between(0.5, 1.3), 'irregular'),
  },
  {
    name: 'growing bursts',
    ranges: 'as regular ones, each 1 to 8 % higher than the last',
    create: (random, { capacity, until }) => {
      const growth = 1 + random.betweenLog(0.01, 0.08)
      return createBursts(random, capacity, until, (index) => growth ** index)
    },
  },
  {
    name: 'shrinking bursts',
    ranges: 'as regular ones, each 1 to 5 % lower than the last',
    create: (random, { capacity, until }) => {
      const growth = 1 - random.betweenLog(0.01, 0.05)
      return createBursts(random, capacity, until, (index) => growth ** index)
    },
  },
  {
    name: 'batch jobs',
    ranges: '1 to 5 min every 6 to 20 min from 10 to 30 % to 50 to 110 %',
    create: (random, { capacity, onset, until }) => {
      const [low, high] = [random.between(0.1, 0.3), random.between(0.5, 1.1)]
      const [length, period] = [random.between(60, 300), random.between(360, 1200)]
      const times = listTimes(onset, until, () => period * random.between(0.95, 1.05))
      const share = (at: number) =>
        at - (times[findTime(times, at)] ?? Number.NEGATIVE_INFINITY) < length ? high : low
      return { traffic: [serve(capacity, drawHold(random), share)] }
    },
  },
  {
    name: 'growing batch jobs',
    ranges: 'as batch jobs, each 2 to 10 % higher than the last',
    create: (random, { capacity, onset, until }) => {
      const [low, high] = [random.between(0.1, 0.3), random.between(0.5, 0.9)]
      const [length, period] = [random.between(60, 300), random.between(360, 900)]
      const growth = 1 + random.between(0.02, 0.1)
      const times = listTimes(onset, until, () => period * random.between(0.95, 1.05))
      const share = (at: number) => {
        const index = findTime(times, at)
        const since = at - (times[index] ?? Number.NEGATIVE_INFINITY)
        return since < length ? high * growth ** index : low
      }
      return { traffic: [serve(capacity, drawHold(random), share)] }
    },
  },
  {
    name: 'retries',
    ranges: 'outages of 30 s to 5 min in which 20 to 60 % is tried 2 to 4 times as often',
    create: (random, { capacity, onset, until }) => {
      const [share, times] = [random.between(0.2, 0.6), random.between(2, 4)]
      const starts = listTimes(onset, until, () => random.between(600, 2400))
      const lengths = starts.map(() => random.betweenLog(30, 300))
      const factor = (at: number) => {
        const index = findTime(starts, at)
        return at - (starts[index] ?? Number.NEGATIVE_INFINITY) < (lengths[index] ?? 0) ? times : 1
      }
      return { traffic: [serve(capacity, drawHold(random), (at) => share * factor(at))] }
    },
  },
  {
    name: 'retry storm',
    ranges: 'from 20 to 50 %, doubling every 1 to 5 min up to 60 to 200 %, over after 3 to 15 min',
    create: (random, { capacity, onset }) => {
      const [share, top] = [random.between(0.2, 0.5), random.between(0.6, 2)]
      const [doubling, length] = [random.between(60, 300), random.between(180, 900)]
      const storm = (at: number) =>
        at < onset || at > onset + length
          ? share
          : Math.min(top, share * 2 ** ((at - onset) / doubling))
      return { traffic: [serve(capacity, drawHold(random), storm)] }
    },
  },
  {
    name: 'heavy-tailed bursts',
    ranges: 'Pareto bursts (index 1.3 to 2.5) over 10 to 50 %, one every 0.5 to 5 min',
    create: (random, { capacity, until }) => {
      const [low, index] = [random.between(0.1, 0.5), random.between(1.3, 2.5)]
      const gap = random.betweenLog(30, 300)
      const times = listTimes(-100, until, () => random.exponential(gap))
      const sizes = times.map(() => 0.1 * (1 - random.next()) ** (-1 / index))
      const share = (at: number) => {
        const burst = findTime(times, at)
        return low + (at - (times[burst] ?? 0) < 20 ? (sizes[burst] ?? 0) : 0)
      }
      return { traffic: [serve(capacity, drawHold(random), share)] }
    },
  },
  {
    name: 'load that falls',
    ranges: 'from 60 to 98 % to 10 to 60 %, at once or over half an hour',
    create: (random, { capacity, onset }) => {
      const [high, low] = [random.between(0.6, 0.98), random.between(0.1, 0.6)]
      const span = random.betweenLog(1, 1800)
      const share = (at: number) =>
        high + (low - high) * Math.min(1, Math.max(0, (at - onset) / span))
      return { traffic: [serve(capacity, drawHold(random), share)] }
    },
  },
  {
    name: 'several services',
    ranges: 'two to five, each with its own level and its own steps at random moments',
    create: (random, { capacity, until }) => {
      const count = 2 + Math.floor(random.between(0, 4))
      const traffic = Array.from({ length: count }, () => {
        const times = listTimes(-100, until, () => random.exponential(1200))
        const level = random.between(0.3, 1) / count
        const levels = times.map(() => Math.max(0, level * (1 + 0.35 * drawNormal(random))))
        return serve(capacity, drawHold(random), (at) => levels[findTime(times, at)] ?? level)
      })
      return { traffic }
    },
  },
]

function createBursts(
  random: Random,
  capacity: number,
  until: number,
  height: (index: number) => number,
  when: 'regular' | 'irregular' = 'regular',
) {
  const low = random.between(0.1, 0.4)
  const [length, period] = [random.between(10, 40), random.between(60, 300)]
  // The rate of a short burst may be several times what fits: it is over before.
  const peak = random.between(0.4, 1.05) - low
  const high = (peak * 60) / length
  const next = () => (when === 'regular' ? period : length + random.exponential(period))
  const times = listTimes(-100, until, next)
  const heights = times.map((_, index) => height(index) * high)
  const share = (at: number) => {
    const index = findTime(times, at)
    return low + (at - (times[index] ?? 0) < length ? (heights[index] ?? 0) : 0)
  }
  return { traffic: [serve(capacity, random.betweenLog(0.1, 3), share)] }
}
