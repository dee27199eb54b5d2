// Random situations for the calibration of risk: a seed -> a scenario of one of nine kinds, its parameters drawn from the
// ranges that `kinds` states, in a pool of 2,000 to 28,232 ports. None of them is one of the named scenarios.

import type { Random } from './random.ts'
import type { Scenario } from './simulation.ts'
import { CAPACITY_PORTS, leak, rateFor, requests, step } from './traffic.ts'

interface Kind {
  readonly kind: string
  /** The ranges, in words, for the report. */
  readonly ranges: string
  readonly create: (
    random: Random,
    pool: { readonly onset: number; readonly capacity: number },
  ) => Pick<Scenario, 'traffic' | 'initial' | 'restarts'>
}

/** Watched for so long after the onset; the simulation goes on for the horizon, to know what came of the last instant. */
export const WATCHED_SECONDS = 1500

const LEAST_PORTS = 2000

export const kinds: readonly Kind[] = [
  {
    kind: 'level',
    ranges: 'steady at 20 to 99.5 %, holding 0.1 to 30 s',
    create: (random, { capacity }) => {
      const holdSeconds = random.betweenLog(0.1, 30)
      const rate = rateFor(random.between(0.2, 0.995), holdSeconds, capacity)
      return { traffic: [requests({ rate: () => rate, holdSeconds })] }
    },
  },
  {
    kind: 'step',
    ranges: 'from 10 to 60 % to 50 to 160 %, holding 0.1 to 30 s',
    create: (random, { onset, capacity }) => {
      const holdSeconds = random.betweenLog(0.1, 30)
      const before = rateFor(random.between(0.1, 0.6), holdSeconds, capacity)
      const after = rateFor(random.between(0.5, 1.6), holdSeconds, capacity)
      return { traffic: [requests({ rate: step(before, after, onset), holdSeconds })] }
    },
  },
  {
    kind: 'leak',
    ranges: '0.2 to 6 % of the pool a minute on 20 to 90 %, holding 0.1 to 5 s',
    create: (random, { onset, capacity }) => {
      const holdSeconds = random.betweenLog(0.1, 5)
      const rate = rateFor(random.between(0.2, 0.9), holdSeconds, capacity)
      const leaking = (random.betweenLog(0.002, 0.06) * capacity) / 60
      return { traffic: [requests({ rate: () => rate, holdSeconds }), leak(leaking, onset)] }
    },
  },
  {
    kind: 'ramp',
    ranges: 'from 20 to 50 % by 1 to 6 % a minute up to 50 to 110 %, then level',
    create: (random, { onset, capacity }) => {
      const from = random.between(0.2, 0.5)
      const top = random.between(0.5, 1.1)
      const perSecond = random.between(0.01, 0.06) / 60
      const share = (at: number) => Math.min(top, from + perSecond * Math.max(0, at - onset))
      return {
        traffic: [requests({ rate: (at) => rateFor(share(at), 1, capacity), holdSeconds: 1 })],
      }
    },
  },
  {
    kind: 'sine',
    ranges: 'mean 30 to 60 %, amplitude 10 to 60 %, period 40 to 120 min',
    create: (random, { capacity }) => {
      const mean = random.between(0.3, 0.6)
      const amplitude = Math.min(mean, random.between(0.1, 0.6))
      const period = random.between(2400, 7200)
      const phase = random.between(0, 2 * Math.PI)
      const share = (at: number) => mean + amplitude * Math.sin((2 * Math.PI * at) / period + phase)
      return {
        traffic: [requests({ rate: (at) => rateFor(share(at), 1, capacity), holdSeconds: 1 })],
      }
    },
  },
  {
    kind: 'bursts',
    ranges: '10 to 30 s every 60 to 240 s, from 10 to 40 % to a peak of 40 to 150 %',
    create: (random, { onset, capacity }) => {
      const base = random.between(0.1, 0.4)
      const peak = random.between(0.4, 1.5)
      const seconds = random.between(10, 30)
      const every = random.between(60, 240)
      const low = rateFor(base, 1, capacity)
      const high = low + ((peak - base) * capacity) / seconds
      const rate = (at: number) => (at >= onset && (at - onset) % every < seconds ? high : low)
      return { traffic: [requests({ rate, holdSeconds: 1 })] }
    },
  },
  {
    kind: 'restart',
    ranges: '10 to 60 % live that all close and are back within 2 to 10 s, 5 to 35 % requests',
    create: (random, { onset, capacity }) => {
      const ports = Math.round(random.between(0.1, 0.6) * capacity)
      const rate = rateFor(random.between(0.05, 0.35), 1, capacity)
      const begin = onset + random.between(0, 3)
      const end = begin + random.between(2, 10)
      const forever = () => Number.POSITIVE_INFINITY
      return {
        traffic: [
          requests({ rate: () => rate, holdSeconds: 1 }),
          {
            destination: 0,
            rate: (at) => (at >= begin && at < end ? ports / (end - begin) : 0),
            hold: forever,
            timeWait: true,
          },
        ],
        initial: [{ destination: 0, ports, hold: forever }],
        restarts: [{ atSeconds: onset, destination: 0 }],
      }
    },
  },
  {
    kind: 'latency',
    ranges: '10 to 85 % of requests, holding from 0.1 to 1 s to 5 to 400 s, fixed or exponential',
    create: (random, { onset, capacity }) => {
      const [fast, slow] = [random.between(0.1, 1), random.betweenLog(5, 400)]
      const rate = rateFor(random.betweenLog(0.1, 0.85), fast, capacity)
      const fixed = random.next() < 0.5
      return {
        traffic: [
          {
            destination: 0,
            rate: () => rate,
            hold: (at, one) =>
              at < onset ? one.exponential(fast) : fixed ? slow : one.exponential(slow),
            timeWait: true,
          },
        ],
      }
    },
  },
  {
    kind: 'long-lived',
    ranges: 'from nothing to 40 to 150 %, holding 1 to 15 min',
    create: (random, { onset, capacity }) => {
      const holdSeconds = random.betweenLog(60, 900)
      const rate = rateFor(random.between(0.4, 1.5), holdSeconds, capacity)
      return { traffic: [requests({ rate: step(0, rate, onset), holdSeconds })] }
    },
  },
]

export function createTrace(random: Random, horizonSeconds: number): Scenario {
  const kind = random.pick(kinds)
  const capacity = Math.round(random.betweenLog(LEAST_PORTS, CAPACITY_PORTS))
  const onset = random.between(60, 300)
  return {
    name: kind.kind,
    capacityPorts: capacity,
    durationSeconds: onset + WATCHED_SECONDS + horizonSeconds,
    onsetSeconds: onset,
    ...kind.create(random, { onset, capacity }),
  }
}
