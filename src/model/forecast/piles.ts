// What rose and fell again: the ports in use, sample after sample -> the peaks of the last hour, and how high the next
// one is going to be. A collector, a deploy or a burst that has ended at 82 % ten times is not heading for exhaustion;
// one that ended 5 % higher each time is.

export interface Peak {
  readonly ports: number
  readonly atSeconds: number
}

export interface Piles {
  readonly ended: readonly Peak[]
  /** The lowest since the last peak ended, or the highest since the last trough did. */
  readonly turn: Peak
  readonly rising: boolean
  /** Where the last rise began. */
  readonly troughPorts: number
}

/** What the peaks say of the time until a moment. */
export interface Repetition {
  /** How much they are to be believed: 0 where nothing was repeated, 1 where everything was. */
  readonly trust: number
  /** Height of the highest peak to come until then, and its standard error. */
  readonly ports: number
  readonly deviation: number
  /** Standard errors to subtract as the next peak is not due by then. */
  readonly awaited: number
}

/** A turn is one of so large a share of the capacity, and of so many standard deviations of a Poisson count. */
const TURN_SHARE = 0.05
const TURN_DEVIATIONS = 5
const MOST_PEAKS = 12
const MEMORY_SECONDS = 7200
/** Peaks that a trend is drawn through. */
const TREND_PEAKS = 8
/** The next peak differs by so much of the capacity, whatever the last ones did. */
const LEAST_DEVIATION = 0.01
/** So many more peaks are believed as much as doubted. */
const DOUBTED_PEAKS = 1
const NOT_DUE_ERRORS = 5

export function advancePiles(piles: Piles | undefined, now: Peak, capacityPorts: number): Piles {
  if (piles === undefined) return { ended: [], turn: now, rising: false, troughPorts: now.ports }
  const { turn, rising, troughPorts } = piles
  const ended = piles.ended.filter((one) => one.atSeconds > now.atSeconds - MEMORY_SECONDS)
  const most = Math.max(turn.ports, now.ports)
  const least = TURN_SHARE * capacityPorts + TURN_DEVIATIONS * Math.sqrt(most)
  if (rising ? now.ports >= turn.ports : now.ports <= turn.ports) {
    return { ended, turn: now, rising, troughPorts: rising ? troughPorts : now.ports }
  }
  if (Math.abs(now.ports - turn.ports) < least) return { ended, turn, rising, troughPorts }
  if (!rising) return { ended, turn: now, rising: true, troughPorts }
  const peaks = [...ended, turn].slice(-MOST_PEAKS)
  return { ended: peaks, turn: now, rising: false, troughPorts: now.ports }
}

/** How much of the way from where the rise began to the limit is done: 0 to 1. */
export function takeProgress(
  { troughPorts }: Piles,
  capacityPorts: number,
  usedPorts: number,
): number {
  return Math.min(
    1,
    Math.max(0, (usedPorts - troughPorts) / Math.max(1, capacityPorts - troughPorts)),
  )
}

/** Says what the peaks make of the time until `horizonSeconds` from now. */
export function takeRepetition(
  { ended }: Piles,
  capacityPorts: number,
  now: Peak,
): (horizonSeconds: number) => Repetition {
  const peaks = ended.slice(-TREND_PEAKS)
  const count = peaks.length
  const [first, last] = [peaks[0], peaks.at(-1)]
  if (first === undefined || last === undefined) {
    return () => ({ trust: 0, ports: now.ports, deviation: capacityPorts, awaited: 0 })
  }
  const mean = peaks.reduce((sum, { ports }) => sum + ports, 0) / count
  const middle = (count - 1) / 2
  let [product, spread] = [0, 0]
  peaks.forEach(({ ports }, i) => {
    product += (i - middle) * (ports - mean)
    spread += (i - middle) ** 2
  })
  const slope = count < 3 ? 0 : product / spread
  let squares = 0
  peaks.forEach(({ ports }, i) => {
    squares += (ports - mean - slope * (i - middle)) ** 2
  })
  const left = Math.max(1, count - (count < 3 ? 1 : 2))
  const doubt = LEAST_DEVIATION * capacityPorts
  const deviation = Math.sqrt(squares / left + doubt ** 2 + (count < 3 ? (0.1 * mean) ** 2 : 0))
  const slopeDeviation = count < 3 ? 0 : deviation / Math.sqrt(spread)
  const period = count < 2 ? 600 : (last.atSeconds - first.atSeconds) / (count - 1)
  // What has outgrown the peaks is not repeating them.
  const beyond = Math.max(0, now.ports - (mean + slope * (count - middle)) - deviation)
  const trust = (count / (count + DOUBTED_PEAKS)) * Math.exp(-beyond / (0.05 * capacityPorts))
  const kept = slope === 0 ? 0 : slope ** 2 / (slope ** 2 + slopeDeviation ** 2)
  return (horizonSeconds) => {
    const due = (now.atSeconds - last.atSeconds + horizonSeconds) / Math.max(1, period)
    const more = Math.max(1, due)
    const at = count - 1 - middle + (slope > 0 ? more : 1)
    return {
      trust,
      ports: mean + kept * slope * at,
      deviation: Math.hypot(deviation, slopeDeviation * at),
      awaited: NOT_DUE_ERRORS * Math.max(0, 1 - due),
    }
  }
}
