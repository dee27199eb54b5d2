// Families of load in which how long connections stay is what changes: latency, clients that wait, long-lived connections.

import { type Family, findTime, listTimes, pile, serve } from './family.ts'
import type { Random } from './random.ts'

export const heldFamilies: readonly Family[] = [
  {
    name: 'heavy-tailed holding',
    ranges: 'Pareto holding times (index 1.1 to 2), steady at 20 to 90 %',
    create: (random, { capacity }) => {
      const [index, shortest] = [random.between(1.1, 2), random.betweenLog(0.05, 2)]
      const mean = (shortest * index) / (index - 1)
      const rate = (random.between(0.2, 0.9) * capacity) / (61 + Math.min(300, mean))
      return {
        traffic: [
          {
            destination: 0,
            rate: () => rate,
            hold: (_, one) => shortest * (1 - one.next()) ** (-1 / index),
            timeWait: true,
          },
        ],
      }
    },
  },
  {
    name: 'latency jump',
    ranges: '10 to 80 % of requests, holding from 0.1 to 1 s to 5 to 400 s',
    create: (random, { capacity, onset }) => {
      const [fast, slow] = [random.between(0.1, 1), random.betweenLog(5, 400)]
      const rate = (random.between(0.1, 0.8) * capacity) / 62
      const hold = (at: number, one: Random) => one.exponential(at < onset ? fast : slow)
      return { traffic: [{ destination: 0, rate: () => rate, hold, timeWait: true }] }
    },
  },
  {
    name: 'latency spells',
    ranges: 'as latency jump, in spells of 20 s to 3 min',
    create: (random, { capacity, onset, until }) => {
      const [fast, slow] = [random.between(0.1, 1), random.betweenLog(5, 200)]
      const rate = (random.between(0.1, 0.7) * capacity) / 62
      const starts = listTimes(onset, until, () => random.between(300, 1800))
      const lengths = starts.map(() => random.betweenLog(20, 180))
      const hold = (at: number, one: Random) => {
        const index = findTime(starts, at)
        const slowed = at - (starts[index] ?? Number.NEGATIVE_INFINITY) < (lengths[index] ?? 0)
        return one.exponential(slowed ? slow : fast)
      }
      return { traffic: [{ destination: 0, rate: () => rate, hold, timeWait: true }] }
    },
  },
  {
    name: 'latency that creeps',
    ranges: '10 to 70 % of requests whose holding time doubles every 5 to 30 min',
    create: (random, { capacity, onset }) => {
      const doubling = random.betweenLog(300, 1800)
      const rate = (random.between(0.1, 0.7) * capacity) / 62
      const most = random.betweenLog(10, 200)
      const hold = (at: number, one: Random) =>
        one.exponential(Math.min(most, 2 ** (Math.max(0, at - onset) / doubling)))
      return { traffic: [{ destination: 0, rate: () => rate, hold, timeWait: true }] }
    },
  },
  {
    name: 'closed loop',
    ranges: 'clients of 5 to 120 % of the pool that wait for an answer; the server slows down',
    create: (random, { capacity, onset }) => {
      const clients = random.between(0.05, 1.2) * capacity
      const [fast, slow] = [random.betweenLog(0.05, 1), random.betweenLog(1, 300)]
      const think = clients / ((random.between(0.1, 0.8) * capacity) / 61)
      return {
        traffic: [
          {
            destination: 0,
            rate: (_, live) => Math.max(0, clients - live) / think,
            hold: (at, one) => one.exponential(at < onset ? fast : slow),
            timeWait: true,
          },
        ],
      }
    },
  },
  {
    name: 'long-lived connections',
    ranges: 'from nothing or from 20 % to 40 to 150 %, holding 1 to 15 min, no TIME_WAIT',
    create: (random, { capacity, onset }) => {
      const hold = random.betweenLog(60, 900)
      const [low, high] = [random.next() < 0.5 ? 0 : 0.2, random.between(0.4, 1.5)]
      const rate = (at: number) => ((at < onset ? low : high) * capacity) / hold
      const holding = (_: number, one: Random) => one.exponential(hold)
      return { traffic: [{ destination: 0, rate, hold: holding, timeWait: false }] }
    },
  },
  {
    name: 'lookups',
    ranges: 'UDP at 10 to 90 %, holding 0.5 to 10 s, in half of the runs with a leak',
    create: (random, pool) => {
      const [share, hold] = [random.between(0.1, 0.9), random.between(0.5, 10)]
      const leaking = random.next() < 0.5 ? random.betweenLog(0.003, 0.05) / 60 : 0
      const holding = (_: number, one: Random) => one.exponential(hold)
      const rate = (share * pool.capacity) / hold
      return {
        traffic: [
          { destination: 0, rate: () => Math.min(rate, 2000), hold: holding, timeWait: false },
          pile((at) => (at < pool.onset ? 0 : leaking * pool.capacity)),
        ],
      }
    },
  },
  {
    name: 'recycled',
    ranges: 'tcp_tw_reuse: requests at a rate of 20 to 400 %, in a third of the runs with a leak',
    create: (random, pool) => {
      const share = random.between(0.2, 4)
      const leaking = random.next() < 0.35 ? random.betweenLog(0.005, 0.05) / 60 : 0
      return {
        reuse: true,
        traffic: [
          serve(Math.min(pool.capacity, 8000), random.betweenLog(0.1, 2), () => share),
          pile((at) => (at < pool.onset ? 0 : leaking * pool.capacity)),
        ],
      }
    },
  },
  {
    name: 'narrower range',
    ranges: 'steady at 20 to 80 % when the range shrinks to 30 to 90 %',
    create: (random, { capacity, onset }) => {
      const share = random.between(0.2, 0.8)
      const capacityPorts = Math.round(random.between(0.3, 0.9) * capacity)
      return {
        traffic: [serve(capacity, random.betweenLog(0.1, 10), () => share)],
        shrink: { atSeconds: onset, capacityPorts },
      }
    },
  },
]
