// One network namespace of the backfilled fleet over time: a character and a seed -> numbers per step that could have been
// measured. The characters are what an SRE meets: quiet pods, plateaus, leaks, exhaustion, and what looks bad and is not.

export type Character =
  | 'quiet'
  /** A host whose many destinations fill the range, and no pool that matters. */
  | 'host'
  /** Churn that has come to rest: TIME_WAIT holds most of it. */
  | 'plateau'
  /** Connections that are opened and never closed. */
  | 'leak'
  /** Full since a while; connect() fails. */
  | 'exhausted'
  /** Full for a while, and cured. */
  | 'recovered'
  /** Sockets bound to ports, and idle. */
  | 'bind-leak'
  | 'close-wait'
  /** Many resolvers, UDP. */
  | 'udp'
  | 'unreadable'

export interface Moment {
  readonly connectUsed: number
  readonly bindUsed: number
  readonly udpUsed: number
  readonly established: number
  readonly timeWait: number
  readonly closeWait: number
  readonly boundIdle: number
  readonly opened: number
  readonly failed: number
  readonly risk: number
  readonly etaSeconds: number | undefined
}

export const USABLE_PORTS = 28_232
export const POOLS = ['tcp_connect', 'tcp_bind', 'udp'] as const

/** Pseudo-random numbers from 0 to 1, the same for the same seed (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** What the namespace looked like at each of `count` steps. */
export function modelMoments(
  character: Character,
  seed: number,
  steps: { readonly count: number; readonly stepSeconds: number },
): readonly Moment[] {
  const random = createRandom(seed)
  const size = random()
  const phase = random() * 6.28
  let opened = Math.floor(random() * 1e6)
  let failed = 0
  return Array.from({ length: steps.count }, (_, step) => {
    const share = step / (steps.count - 1)
    const noise = 0.5 * Math.sin(phase + step / 7) + random() - 0.5
    const load = modelLoad(character, { share, size, noise })
    const connectUsed = ports(load.connect)
    opened += Math.round((load.perSecond ?? 0.4) * steps.stepSeconds)
    failed += Math.round((load.failedPerSecond ?? 0) * steps.stepSeconds)
    const boundIdle = ports(load.bound ?? 0)
    const closeWait = ports(load.closeWait ?? 0)
    const timeWait = Math.round((connectUsed - boundIdle - closeWait) * (load.timeWaitShare ?? 0.3))
    return {
      connectUsed,
      bindUsed: Math.max(connectUsed, ports(load.bind ?? load.connect * 1.2)),
      udpUsed: ports(load.udp ?? 0.003 + 0.002 * size),
      established: connectUsed - boundIdle - closeWait - timeWait,
      timeWait,
      closeWait,
      boundIdle,
      opened,
      failed,
      risk: load.risk ?? 0,
      etaSeconds: load.etaSeconds,
    }
  })
}

/** Shares of the usable ports unless said otherwise. */
interface Load {
  readonly connect: number
  readonly bind?: number
  readonly udp?: number
  readonly bound?: number
  readonly closeWait?: number
  readonly timeWaitShare?: number
  readonly perSecond?: number
  readonly failedPerSecond?: number
  readonly risk?: number
  readonly etaSeconds?: number
}

function modelLoad(
  character: Character,
  { share, size, noise }: { share: number; size: number; noise: number },
): Load {
  switch (character) {
    case 'quiet':
    case 'unreadable':
      return { connect: 0.004 + 0.05 * size * size + 0.002 * noise, perSecond: 0.2 + 8 * size }
    case 'host': {
      const connect = 0.08 + 0.22 * size + 0.02 * noise
      return {
        connect,
        bind: 0.55 + 0.42 * size + 0.01 * noise,
        timeWaitShare: 0.6,
        perSecond: 150 * size,
      }
    }
    case 'plateau': {
      const connect = Math.min(1, share * 12) * (0.45 + 0.36 * size) + 0.012 * noise
      return { connect, timeWaitShare: 0.9, perSecond: (connect * USABLE_PORTS) / 60 }
    }
    case 'leak':
      return {
        connect: 0.3 + 0.2 * size + share * (0.42 + 0.06 * size) + 0.001 * noise,
        timeWaitShare: 0.04,
        perSecond: 9,
        ...forecast(share, 0.35, 4800 * (1.13 - share) * (0.7 + 0.5 * size)),
      }
    case 'exhausted': {
      const full = share > 0.78
      return {
        connect: full ? 1 : 0.5 + (share / 0.78) * 0.5,
        timeWaitShare: 0.85,
        perSecond: 420,
        failedPerSecond: full ? 31 + 9 * noise : 0,
        ...(full ? { risk: 1, etaSeconds: 0 } : forecast(share, 0.2, (0.78 - share) * 3600)),
      }
    }
    case 'recovered': {
      const full = share > 0.42 && share < 0.58
      const connect = full ? 1 : share > 0.3 && share <= 0.42 ? 0.4 + (share - 0.3) * 5 : 0.12
      return {
        connect: connect + (full ? 0 : 0.01 * noise),
        timeWaitShare: 0.85,
        perSecond: 300,
        failedPerSecond: full ? 22 + 5 * noise : 0,
        ...(full ? { risk: 1, etaSeconds: 0 } : {}),
      }
    }
    case 'bind-leak': {
      const bound = 0.05 + share * (0.3 + 0.2 * size)
      return {
        connect: bound + 0.06 + 0.004 * noise,
        bound,
        bind: bound + 0.1,
        perSecond: 3,
        ...forecast(share, 0.7, 5200 * (1.5 - share)),
      }
    }
    case 'close-wait': {
      const closeWait = 0.04 + share * (0.25 + 0.2 * size)
      return { connect: closeWait + 0.1 + 0.01 * noise, closeWait, perSecond: 14 }
    }
    case 'udp':
      return {
        connect: 0.03 + 0.01 * noise,
        udp: 0.72 + 0.18 * size + 0.01 * noise,
        perSecond: 2,
      }
  }
}

/** Nothing is forecast before `from`; then the risk grows to nearly 1. */
function forecast(share: number, from: number, etaSeconds: number): Partial<Load> {
  if (share < from) return { risk: 0 }
  const progress = (share - from) / (1 - from)
  return { risk: Math.round(9800 * progress ** 3) / 10_000, etaSeconds: Math.round(etaSeconds) }
}

function ports(share: number): number {
  return Math.max(0, Math.min(USABLE_PORTS, Math.round(share * USABLE_PORTS)))
}

/** Whether an old agent has its port inside the range. */
export function listens(number: number): boolean {
  return number === 0 || number === 7
}
