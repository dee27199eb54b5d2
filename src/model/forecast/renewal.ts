// Ports that several connections may hold, one after the other or at once: a new TIME_WAIT at a held port renews it, and no
// timer says when it comes free. Points -> the timetable that follows from the ports that came and went.

import type { Point } from './points.ts'
import { type Schedule, TIME_WAIT_SECONDS } from './schedule.ts'

/** What lasts longer than that is as good as for ever. */
const LONGEST_SECONDS = 3600

/**
 * First in, first out: what is in TIME_WAIT now is what came into it last. What is older than the points is taken to have come
 * at the rate of what they show.
 */
export function takeRenewal(points: readonly Point[], timeWaitPorts: number): Schedule {
  const now = points.at(-1)
  const ages: number[] = []
  const sums: number[] = []
  for (let i = points.length - 1; i >= 0; i--) {
    const point = points[i]
    if (point === undefined || now === undefined) break
    const opened = now.openedPorts - point.openedPorts
    const closes = opened - (now.livePorts - point.livePorts)
    ages.push(now.atSeconds - point.atSeconds)
    sums.push(Math.max(sums.at(-1) ?? 0, closes))
    if (closes >= timeWaitPorts) break
  }
  const [seconds, shown] = [ages.at(-1) ?? 0, sums.at(-1) ?? 0]
  if (shown < timeWaitPorts) {
    const unseen = seconds < TIME_WAIT_SECONDS ? TIME_WAIT_SECONDS : LONGEST_SECONDS
    const end = shown > 0 ? (seconds * timeWaitPorts) / shown : unseen
    ages.push(Math.min(LONGEST_SECONDS, Math.max(TIME_WAIT_SECONDS, seconds + 1, end)))
    sums.push(timeWaitPorts)
  }
  const closed: number[] = []
  let [at, before] = [0, 0]
  while (before < timeWaitPorts) {
    const age = closed.length + 1
    while (at < ages.length - 1 && (ages[at] ?? 0) < age) at++
    const [from, to] = [ages[at - 1] ?? 0, ages[at] ?? 0]
    const [low, high] = [sums[at - 1] ?? 0, sums[at] ?? 0]
    const share = to > from ? Math.min(1, (age - from) / (to - from)) : 1
    const sum = Math.min(timeWaitPorts, low + share * (high - low))
    closed.push(sum - before)
    before = sum
  }
  return { closed, lifetimeSeconds: Math.max(TIME_WAIT_SECONDS, closed.length) }
}
