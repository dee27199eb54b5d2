// The named situations of the bench: what an SRE meets, safe ones and those that end in a failed connect().
// Shares are of the capacity; a rate r with holding time H settles at r x (60 s + H) ports.

import type { Random } from './random.ts'
import { leakOn, restartAt, scaleDownAt, shrinkTo, stepTo } from './shapes.ts'
import type { Scenario } from './simulation.ts'
import { CAPACITY_PORTS, leak, rateFor, requests, scenario, step } from './traffic.ts'

/** What is demanded of a scenario. */
export type Demand =
  /** No page. */
  | { readonly kind: 'safe' }
  /** A page so long before the first failure that stays. */
  | { readonly kind: 'gradual'; readonly leadSeconds: number }
  /** A risk of a half at most that long after the onset. */
  | { readonly kind: 'step'; readonly withinSeconds: number }

export interface NamedScenario {
  readonly name: string
  readonly demand: Demand
  readonly create: (random: Random) => Scenario
}

const safe: Demand = { kind: 'safe' }
/** What somebody needs to wake up, to look, and to widen the range or to restart what leaks. */
const LEAK_SECONDS = 300
/** In the noise of a busy load a leak is seen later, and a ramp might end in any minute. */
const BUSY_SECONDS = 240
/** A range that somebody made small; chance weighs more in it. */
const SMALL_PORTS = 1000

export const namedScenarios: readonly NamedScenario[] = [
  {
    name: 'steady at 65 %',
    demand: safe,
    create: () =>
      scenario({
        name: 'steady',
        durationSeconds: 1800,
        onsetSeconds: 0,
        traffic: [requests({ rate: () => rateFor(0.65, 1), holdSeconds: 1 })],
      }),
  },
  {
    name: 'steady at 65 %, connections opened 25 at a time',
    demand: safe,
    create: () =>
      scenario({
        name: 'clumps',
        durationSeconds: 1800,
        onsetSeconds: 0,
        traffic: [{ ...requests({ rate: () => rateFor(0.65, 1), holdSeconds: 1 }), clump: 25 }],
      }),
  },
  { name: 'load step to a plateau of 85 %', demand: safe, create: stepTo(0.85, 25) },
  { name: 'load step to a plateau of 90 %', demand: safe, create: stepTo(0.9, 25) },
  {
    name: 'slow sine up to 75 % (one hour)',
    demand: safe,
    create: (random) => {
      const phase = random.between(0, 2 * Math.PI)
      return scenario({
        name: 'sine',
        durationSeconds: 5400,
        onsetSeconds: 0,
        traffic: [
          requests({
            rate: (at) => rateFor(0.45 + 0.3 * Math.sin((2 * Math.PI * at) / 3600 + phase), 1),
            holdSeconds: 1,
          }),
        ],
      })
    },
  },
  {
    name: 'bursts of 15 s every 2 min up to 70 %',
    demand: safe,
    create: (random) => {
      const phase = random.between(0, 120)
      // The burst's last second sees 15 s of it above what else TIME_WAIT remembers.
      const base = rateFor(0.25, 1)
      const burst = base + (0.45 * CAPACITY_PORTS) / 15
      return scenario({
        name: 'bursts',
        durationSeconds: 1800,
        onsetSeconds: 0,
        traffic: [
          requests({
            rate: (at) => ((at + phase + 1200) % 120 < 15 ? burst : base),
            holdSeconds: 1,
          }),
        ],
      })
    },
  },
  {
    name: 'restart: everything closes, reconnect storm, peak 80 %',
    demand: safe,
    create: (random) => restartAt(300 + random.between(0, 5), 0.3, 0.2),
  },
  {
    name: 'scale-down: 45 % of long-lived connections close for good',
    demand: safe,
    create: (random) => scaleDownAt(300 + random.between(0, 5), 0.45, 0.2),
  },
  {
    name: 'long-lived connections up to 50 %',
    demand: safe,
    create: (random) => {
      const onsetSeconds = random.between(30, 90)
      return scenario({
        name: 'long-lived',
        durationSeconds: 2700,
        onsetSeconds,
        traffic: [requests({ rate: step(0, rateFor(0.5, 600), onsetSeconds), holdSeconds: 600 })],
      })
    },
  },
  {
    name: 'tcp_tw_reuse=1 with a huge TIME_WAIT count',
    demand: safe,
    create: (random) =>
      scenario({
        name: 'reuse',
        reuse: true,
        durationSeconds: 1200,
        onsetSeconds: 0,
        traffic: [requests({ rate: step(250, 900, 300 + random.between(0, 5)), holdSeconds: 1 })],
      }),
  },
  {
    name: 'range shrunk from 28,232 to 16,000 at 40 %',
    demand: safe,
    create: (random) => shrinkTo(16_000, 300 + random.between(0, 5)),
  },
  {
    name: 'steady at 80 % of 1,000 ports',
    demand: safe,
    create: () =>
      scenario({
        name: 'small',
        capacityPorts: SMALL_PORTS,
        durationSeconds: 1800,
        onsetSeconds: 0,
        traffic: [requests({ rate: () => rateFor(0.8, 1, SMALL_PORTS), holdSeconds: 1 })],
      }),
  },
  {
    name: 'load step to a plateau of 85 % of 1,000 ports',
    demand: safe,
    create: stepTo(0.85, 25, SMALL_PORTS),
  },
  { name: 'step to 105 %', demand: { kind: 'step', withinSeconds: 90 }, create: stepTo(1.05, 25) },
  { name: 'step to 120 %', demand: { kind: 'step', withinSeconds: 20 }, create: stepTo(1.2, 25) },
  { name: 'step to 150 %', demand: { kind: 'step', withinSeconds: 15 }, create: stepTo(1.5, 25) },
  {
    name: 'leak of 5/s on a busy pool (50 %)',
    demand: { kind: 'gradual', leadSeconds: BUSY_SECONDS },
    create: leakOn(0.5, 5),
  },
  {
    name: 'leak of 2/s on a busy pool (50 %)',
    demand: { kind: 'gradual', leadSeconds: BUSY_SECONDS },
    create: leakOn(0.5, 2),
  },
  {
    name: 'UDP leak of 6/s',
    demand: { kind: 'gradual', leadSeconds: LEAK_SECONDS },
    create: (random) => {
      const onsetSeconds = 300 + random.between(0, 5)
      const lookups = requests({ rate: () => 400, holdSeconds: 3 })
      return scenario({
        name: 'udp leak',
        durationSeconds: 7200,
        onsetSeconds,
        traffic: [{ ...lookups, timeWait: false }, leak(6, onsetSeconds)],
      })
    },
  },
  {
    name: 'second destination growing behind a steady first (65 %)',
    demand: { kind: 'gradual', leadSeconds: LEAK_SECONDS },
    create: (random) => {
      const onsetSeconds = 300 + random.between(0, 5)
      return scenario({
        name: 'second destination',
        durationSeconds: 7200,
        onsetSeconds,
        traffic: [
          requests({ rate: () => rateFor(0.65, 1), holdSeconds: 1 }),
          leak(12, onsetSeconds, 1),
        ],
      })
    },
  },
  {
    name: 'linear ramp of arrivals from 30 % by 2 % a minute',
    demand: { kind: 'gradual', leadSeconds: BUSY_SECONDS },
    create: (random) => {
      const onsetSeconds = 300 + random.between(0, 5)
      return scenario({
        name: 'ramp',
        durationSeconds: 7200,
        onsetSeconds,
        traffic: [
          requests({
            rate: (at) => rateFor(0.3 + (0.02 * Math.max(0, at - onsetSeconds)) / 60, 1),
            holdSeconds: 1,
          }),
        ],
      })
    },
  },
  {
    name: 'downstream latency jumps from 0.2 s to 200 s (200/s)',
    demand: { kind: 'step', withinSeconds: 60 },
    create: (random) => {
      const onsetSeconds = 300 + random.between(0, 5)
      return scenario({
        name: 'latency',
        durationSeconds: 1800,
        onsetSeconds,
        traffic: [
          {
            destination: 0,
            rate: () => 200,
            hold: (at, one) => one.exponential(1) * 0.2 + (at < onsetSeconds ? 0 : 199.8),
            timeWait: true,
          },
        ],
      })
    },
  },
  {
    name: 'range shrunk from 28,232 to 10,500 at 40 %',
    demand: { kind: 'step', withinSeconds: 60 },
    create: (random) => shrinkTo(10_500, 300 + random.between(0, 5)),
  },
]
