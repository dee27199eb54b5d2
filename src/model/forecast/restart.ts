// A restart of the clients: most live connections close at once and as many come back. History and reading -> the level that
// is being restored, so that the storm of openings is not taken for a load that goes on.

import type { History, HistoryReading, Restart } from './points.ts'
import { countClosed, type Schedule, TIME_WAIT_SECONDS } from './schedule.ts'

/** The level that a fall is measured against is that of so long: the end of a burst is no collapse. */
const USUAL_SECONDS = 120
const USUAL_LEAST_SECONDS = 45
const COLLAPSE_SHARE = 0.2
/** Of the pool's capacity; what is less is noise to it. */
const COLLAPSE_LEAST = 0.03
/** Standard deviations of a Poisson count that are no chance. */
const COLLAPSE_DEVIATIONS = 8
/** A second with so many times the closes of a usual one, and that many standard errors more, is one of a collapse... */
const HOT_RATIO = 3
const HOT_DEVIATIONS = 6
/** ...if there are only so many such seconds, with usual ones before and after. */
const HOT_SECONDS = 5
/** When nothing came back for so long, it was an end. */
const PATIENCE_SECONDS = 60
/** When so manyth of them are back, the others are on their way. */
const RETURNED_PART = 20
/** Clients whose connections all closed at once mostly come back... */
const RETURN_RATIO = 0.85
/** ...and do so soon: of those that do, 1 in e has not begun after so long. */
const RETURN_SECONDS = 5

export function advanceRestart(history: History, reading: HistoryReading): Restart | undefined {
  const { atSeconds, livePorts } = reading
  const running = history.restart
  if (running === undefined) {
    const usual = takeUsual(history, atSeconds)
    if (usual === 0) return undefined
    const least = Math.max(
      reading.capacityPorts * COLLAPSE_LEAST,
      usual * COLLAPSE_SHARE + COLLAPSE_DEVIATIONS * Math.sqrt(usual),
    )
    // Clients that are quick are back before anybody looks: then only the closes tell.
    const { closed, ageSeconds } = countAtOnce(
      reading.schedule,
      atSeconds - (history.points.at(-1)?.atSeconds ?? 0),
      least,
    )
    if (usual - livePorts < least && closed < least) return undefined
    const returning = closed >= least && livePorts > usual - closed + usual / RETURNED_PART
    return {
      levelPorts: usual,
      lowestPorts: livePorts,
      atSeconds: atSeconds - ageSeconds,
      returning,
    }
  }
  const { levelPorts } = running
  if (livePorts >= levelPorts - 3 * Math.sqrt(levelPorts)) return undefined
  if (atSeconds - running.atSeconds > PATIENCE_SECONDS) return undefined
  const progress = livePorts > history.livePorts + levelPorts / 100
  const lowestPorts = Math.min(running.lowestPorts, livePorts)
  return {
    levelPorts,
    lowestPorts,
    atSeconds: progress ? atSeconds : running.atSeconds,
    returning: running.returning || livePorts > lowestPorts + levelPorts / RETURNED_PART,
  }
}

/** Probability that what closed comes back, given that it has not begun to. */
export function takeReturning(restart: Restart, atSeconds: number): number {
  if (restart.returning) return 1
  const late = RETURN_RATIO * Math.exp((restart.atSeconds - atSeconds) / RETURN_SECONDS)
  return late / (late + 1 - RETURN_RATIO)
}

/** Mean live ports of the last minutes; 0 where too little was seen of them. */
function takeUsual({ points, seenFromSeconds }: History, atSeconds: number): number {
  let [portSeconds, seconds] = [0, 0]
  for (let i = points.length - 1; i > 0; i--) {
    const [from, to] = [points[i - 1], points[i]]
    if (from === undefined || to === undefined) break
    if (from.atSeconds < Math.max(seenFromSeconds, atSeconds - USUAL_SECONDS)) break
    const span = to.atSeconds - from.atSeconds
    portSeconds += (span * (from.livePorts + to.livePorts)) / 2
    seconds += span
  }
  return seconds < USUAL_LEAST_SECONDS ? 0 : portSeconds / seconds
}

/** Closes beyond the usual in a short spell since the last sample that has ended, and how long ago; none fewer than `least`. */
function countAtOnce(
  schedule: Schedule | undefined,
  spanSeconds: number,
  least: number,
): { readonly closed: number; readonly ageSeconds: number } {
  const none = { closed: 0, ageSeconds: 0 }
  if (schedule === undefined || schedule.lifetimeSeconds < TIME_WAIT_SECONDS) return none
  const { closed } = schedule
  if (countClosed(closed, { fromSeconds: 0, toSeconds: spanSeconds + 1 }) < least) return none
  const usual = Float64Array.from(closed).sort()[Math.floor(closed.length / 2)] ?? 0
  const chance = HOT_DEVIATIONS * Math.sqrt(usual + 1)
  const isHot = (age: number) => (closed[age] ?? 0) > HOT_RATIO * usual + chance
  const isUsual = (age: number) => (closed[age] ?? 0) <= usual + chance
  // The oldest second is half gone: what was usual before it is not seen.
  const end = Math.min(TIME_WAIT_SECONDS - 2, Math.ceil(spanSeconds))
  if (!isUsual(0) || !isUsual(end)) return none
  let [excess, seconds, ageSeconds] = [0, 0, 0]
  for (let age = 0; age < end; age++) {
    if (!isHot(age)) continue
    excess += (closed[age] ?? 0) - usual
    if (seconds === 0) ageSeconds = age
    seconds++
  }
  return seconds <= HOT_SECONDS ? { closed: excess, ageSeconds } : none
}
