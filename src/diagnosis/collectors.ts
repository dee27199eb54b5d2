// Collectors that do not work, or that are not permitted here: what is not on the page, and the right that would tell.
// Pure.

import type { Snapshot } from '../snapshot.ts'
import { createGap, type Finding } from './finding.ts'

/** What fails is a warning; what was never permitted is a note. */
export function findCollectors({ collectors, absences }: Snapshot): readonly Finding[] {
  const failed = collectors.flatMap(({ collector, success, problem }) =>
    success || problem === undefined
      ? []
      : [createGap('warning', `the collector ${collector} does not work`, `${problem}.`)],
  )
  const absent = absences.map(({ collector, reason }) =>
    createGap('note', `the collector ${collector} is not possible here`, `${reason}.`),
  )
  return [...failed, ...absent]
}
