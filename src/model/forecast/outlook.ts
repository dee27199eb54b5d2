// The forecast of one track: what is known of it -> risk within the horizon and time to the first failure.

import { type Likely, listEndless, listFutures, takeWorst } from './futures.ts'
import { CERTAIN, type Path, takePassage } from './passage.ts'
import { type Books, createProjection, listMoments } from './path.ts'

export interface Outlook {
  readonly riskRatio: number
  /** False while too little was seen to call a low risk one. */
  readonly known: boolean
  /** The moment by which a failure is as likely as not if everything goes on as it does; undefined when there is none in a day. */
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
  return { riskRatio, known, etaSeconds: takeMedian(moments, byMoment.sums) }
}

function isSafe({ margins, count }: Path): boolean {
  for (let i = 0; i < count; i++) if ((margins[i] ?? 0) < CERTAIN) return false
  return true
}

function takeMedian(moments: readonly number[], chances: Float64Array): number | undefined {
  const index = chances.findIndex((chance) => chance >= 0.5)
  if (index < 0) return undefined
  if (index === 0) return 0
  const [low, high] = [chances[index - 1] ?? 0, chances[index] ?? 1]
  const [from, to] = [moments[index - 1] ?? 0, moments[index] ?? 0]
  return from + ((to - from) * (0.5 - low)) / Math.max(1e-9, high - low)
}
