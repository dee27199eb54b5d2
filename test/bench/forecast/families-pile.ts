// Families of load in which connections pile up: leaks, pools of connections, collectors, restarts.

import {
  type Family,
  type FamilyPool,
  findTime,
  type Load,
  listTimes,
  pile,
  serve,
} from './family.ts'
import type { Random } from './random.ts'
import type { Traffic } from './simulation.ts'

const forever = () => Number.POSITIVE_INFINITY

/** What goes on besides, at 0 to `most` of the capacity. */
function drawBackground(random: Random, { capacity }: FamilyPool, most = 0.3): Traffic {
  const share = random.next() < 0.3 ? 0 : random.between(0, most)
  return serve(capacity, random.betweenLog(0.1, 10), () => share)
}

export const pileFamilies: readonly Family[] = [
  {
    name: 'leak',
    ranges: '0.2 to 6 % of the pool a minute besides 0 to 80 % of requests',
    create: (random, pool) => {
      const rate = (random.betweenLog(0.002, 0.06) * pool.capacity) / 60
      return {
        traffic: [drawBackground(random, pool, 0.8), pile((at) => (at < pool.onset ? 0 : rate))],
      }
    },
  },
  {
    name: 'leak that ends',
    ranges: '1 to 10 % of the pool a minute, ending at 10 to 70 % of it',
    create: (random, pool) => {
      const rate = (random.betweenLog(0.01, 0.1) * pool.capacity) / 60
      const end = pool.onset + (random.between(0.1, 0.7) * pool.capacity) / rate
      return {
        traffic: [
          drawBackground(random, pool),
          pile((at) => (at < pool.onset || at > end ? 0 : rate)),
        ],
      }
    },
  },
  {
    name: 'leak that a restart ends',
    ranges: 'leaks to 30 to 110 % between restarts every 5 to 30 min',
    create: (random, pool) => {
      const period = random.betweenLog(300, 1800)
      const height = random.between(0.3, 1.1)
      const restarts = listTimes(pool.onset, pool.until, () => period * random.between(0.97, 1.03))
      return {
        traffic: [pile(() => (height * pool.capacity) / period)],
        restarts: restarts.map((atSeconds) => ({ atSeconds, destination: 0 })),
      }
    },
  },
  {
    name: 'collector',
    ranges: 'sockets that a GC closes every 20 to 180 s, at peaks of 40 to 105 %',
    create: (random, pool) => createCollector(random, pool, () => 1),
  },
  {
    name: 'irregular collector',
    ranges: 'as collector, each interval 60 to 140 % of the usual',
    create: (random, pool) => createCollector(random, pool, () => 1, 0.4),
  },
  {
    name: 'growing collector',
    ranges: 'as collector, the rate grows by 5 to 60 % an hour from 50 to 90 %',
    create: (random, pool) => {
      const growth = random.between(0.05, 0.6) / 3600
      return createCollector(random, pool, (at) => 1 + growth * Math.max(0, at))
    },
  },
  {
    name: 'restart',
    ranges: '10 to 60 % live that all close and are back within 2 to 40 s',
    create: (random, pool) => {
      const ports = Math.round(random.between(0.1, 0.6) * pool.capacity)
      const begin = pool.onset + random.between(0, 10)
      const end = begin + random.betweenLog(2, 40)
      const back = { ...pile((at) => (at >= begin && at < end ? ports / (end - begin) : 0)) }
      return {
        traffic: [drawBackground(random, pool), { ...back, timeWait: random.next() < 0.7 }],
        initial: [{ destination: 0, ports, hold: forever }],
        restarts: [{ atSeconds: pool.onset, destination: 0 }],
      }
    },
  },
  {
    name: 'worker restarts',
    ranges: 'clients of 20 to 90 % that restart every 5 to 30 min and come back over 5 to 120 s',
    create: (random, pool) => {
      const period = random.betweenLog(300, 1800)
      const restarts = listTimes(pool.onset, pool.until, () => period * random.between(0.9, 1.1))
      return {
        traffic: [
          drawBackground(random, pool, 0.1),
          fill(random.between(0.2, 0.9) * pool.capacity, random.betweenLog(2, 40)),
        ],
        restarts: restarts.map((atSeconds) => ({ atSeconds, destination: 0 })),
      }
    },
  },
  {
    name: 'rolling deploys',
    ranges: 'every 8 to 25 min 20 to 55 % live are opened anew before the old ones close',
    create: (random, pool) => createDeploys(random, pool, 1),
  },
  {
    name: 'growing deploys',
    ranges: 'as rolling deploys, each 2 to 8 % larger',
    create: (random, pool) => createDeploys(random, pool, 1 + random.between(0.02, 0.08)),
  },
  {
    name: 'cap reached by and by',
    ranges: 'no closes, exponentially to a cap of 30 to 98 %, over 0.5 to 20 min',
    create: (random, pool) => ({
      traffic: [
        drawBackground(random, pool, 0.02),
        from(
          pool.onset,
          fill(random.between(0.3, 0.98) * pool.capacity, random.betweenLog(30, 1200)),
        ),
      ],
    }),
  },
  {
    name: 'cap beyond the pool',
    ranges: 'no closes, exponentially to a cap of 95 to 200 %, over 2 to 30 min',
    create: (random, pool) => ({
      traffic: [
        drawBackground(random, pool, 0.2),
        from(
          pool.onset,
          fill(random.between(0.95, 2) * pool.capacity, random.betweenLog(120, 1800)),
        ),
      ],
    }),
  },
  {
    name: 'cap reached in line',
    ranges: 'no closes, at one rate over 0.5 to 20 min to a cap of 30 to 98 %',
    create: (random, pool) => {
      const cap = random.between(0.3, 0.98) * pool.capacity
      const rate = cap / random.betweenLog(30, 1200)
      return {
        traffic: [
          drawBackground(random, pool, 0.02),
          pile((at, live) => (at < pool.onset || live >= cap ? 0 : rate)),
        ],
      }
    },
  },
  {
    name: 'batch then rest',
    ranges: '20 to 95 % opened over 5 to 90 s, then nothing',
    create: (random, { capacity, onset }) => {
      const [share, span] = [random.between(0.2, 0.95), random.between(5, 90)]
      const rate = (share * capacity) / span
      return { traffic: [pile((at) => (at >= onset && at < onset + span ? rate : 0))] }
    },
  },
]

/** Clients that open what is missing to their number, within about `seconds`. */
function fill(ports: number, seconds: number): Traffic {
  return pile((_, live) => Math.max(0, ports - live) / seconds)
}

function from(onset: number, traffic: Traffic): Traffic {
  return { ...traffic, rate: (at, live) => (at < onset ? 0 : traffic.rate(at, live)) }
}

function createCollector(
  random: Random,
  pool: FamilyPool,
  growth: (atSeconds: number) => number,
  jitter = 0.02,
): Load {
  const period = random.between(20, 180)
  const next = () => period * random.between(1 - jitter, 1 + jitter)
  const times = listTimes(-200, pool.until, next)
  const until = (at: number) => times[findTime(times, at) + 1] ?? pool.until
  // In a third of the runs our side closes, and the pile goes on as TIME_WAIT.
  const timeWait = random.next() < 0.3
  const height = random.between(0.4, 1.05) * (timeWait ? 0.5 : 1)
  const rate = (height * pool.capacity) / period
  return {
    traffic: [
      drawBackground(random, pool, 0.1),
      { ...pile((at) => rate * growth(at), until), timeWait },
    ],
  }
}

function createDeploys(random: Random, pool: FamilyPool, growth: number): Load {
  const ports = random.between(0.2, 0.55) * pool.capacity
  const [surge, overlap] = [random.between(5, 60), random.between(20, 120)]
  const period = random.between(480, 1500)
  const times = listTimes(pool.onset, pool.until, () => period * random.between(0.9, 1.1))
  const end = (index: number) => (times[index + 1] ?? pool.until) + surge + overlap
  const rate = (at: number) => {
    const index = findTime(times, at)
    return at - (times[index] ?? Number.NEGATIVE_INFINITY) < surge
      ? (ports * growth ** index) / surge
      : 0
  }
  const first = end(-1)
  return {
    traffic: [
      drawBackground(random, pool, 0.1),
      pile(rate, (at) => end(findTime(times, at)) + random.between(0, 10)),
    ],
    initial: [
      { destination: 0, ports: Math.round(ports), hold: () => first + 120 + random.between(0, 10) },
    ],
  }
}
