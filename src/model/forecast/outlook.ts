// The forecast of one track: what is known of it -> risk within the horizon and time to the first failure.

import { type Likely, listEndless, listFutures, takeWorst } from './futures.ts'
import { CERTAIN, type Path, takePassage } from './passage.ts'
import { type Books, createProjection, listMoments } from './path.ts'

export interface Outlook {
  readonly riskRatio: number
  /** False while too little was seen to call a low risk one. */
  readonly known: boolean
  /**
   * The moment by which a failure is as likely as not if everything goes on as it does; undefined when there is none in a day.
   * In the last minutes the moment by which it is less and less unlikely, down to one in twenty.
   */
  readonly etaSeconds: number | undefined
}

export interface OutlookParts extends Likely {
  readonly known: boolean
  readonly books: Books
  readonly horizonSeconds: number
}

const FARTHEST_SECONDS = 86_400
/** Whether anything can happen at all is seen at a few moments. */
const GLANCE_WIDTH = 4
/** The time to a failure needs fewer courses than its probability. */
const ENDLESS_EVERY = 8
/** The probability of a failure by the ETA: that of a far one and that of a near one, between them in proportion. */
const FAR_CHANCE = 0.5
const NEAR_CHANCE = 0.05
const FAR_SECONDS = 120
const NEAR_SECONDS = 30

export function takeOutlook({ books, horizonSeconds, known, ...parts }: OutlookParts): Outlook {
  const lastSeconds = Math.max(FARTHEST_SECONDS, horizonSeconds)
  const few = listMoments(horizonSeconds, lastSeconds, GLANCE_WIDTH)
  const glance = createProjection(books, few)
  const isRisky = !isSafe(glance(takeWorst(parts, 0), few.indexOf(horizonSeconds) + 1))
  // It takes half of the courses to give a time.
  if (!isRisky && isSafe(glance(takeWorst(parts, 0.5))))
    return { riskRatio: 0, known, etaSeconds: undefined }

  const moments = listMoments(horizonSeconds, lastSeconds)
  const project = createProjection(books, moments)
  let riskRatio = 0
  if (isRisky) {
    const count = moments.indexOf(horizonSeconds) + 1
    const courses = listFutures({ ...parts, moments: moments.slice(0, count) })
    for (const course of courses) riskRatio += takePassage(project(course, count))
    riskRatio = Math.min(1, riskRatio / courses.length)
  }
  const endless = listEndless(parts, ENDLESS_EVERY)
  const byMoment = { sums: new Float64Array(moments.length), weight: 1 / endless.length }
  for (const course of endless) takePassage(project(course), byMoment)
  return { riskRatio, known, etaSeconds: takeEta(moments, byMoment.sums) }
}

function isSafe({ margins, count }: Path): boolean {
  for (let i = 0; i < count; i++) if ((margins[i] ?? 0) < CERTAIN) return false
  return true
}

/** The median of what is far, and ever earlier quantiles of what is near, where chance is as large as the time itself. */
function takeEta(moments: readonly number[], chances: Float64Array): number | undefined {
  const median = takeQuantile(moments, chances, FAR_CHANCE)
  if (median === undefined) return undefined
  const share = Math.min(1, Math.max(0, (median - NEAR_SECONDS) / (FAR_SECONDS - NEAR_SECONDS)))
  return takeQuantile(moments, chances, NEAR_CHANCE + share * (FAR_CHANCE - NEAR_CHANCE))
}

function takeQuantile(
  moments: readonly number[],
  chances: Float64Array,
  share: number,
): number | undefined {
  const index = chances.findIndex((chance) => chance >= share)
  if (index < 0) return undefined
  if (index === 0) return 0
  const [low, high] = [chances[index - 1] ?? 0, chances[index] ?? 1]
  const [from, to] = [moments[index - 1] ?? 0, moments[index] ?? 0]
  return from + ((to - from) * (share - low)) / Math.max(1e-9, high - low)
}
