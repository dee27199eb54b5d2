// Collectors that do not work, or that are not permitted here: what is not on the page, and the right that would tell.
// Pure.

import type { Snapshot } from '../snapshot.ts'
import type { Finding } from './finding.ts'

/** What fails is a warning; what was never permitted is a note. */
export function findCollectors({ collectors, absences }: Snapshot): readonly Finding[] {
  const failed = collectors.flatMap(({ collector, success, problem }) =>
    success || problem === undefined
      ? []
      : [createFinding('warning', `the collector ${collector} does not work`, problem)],
  )
  const absent = absences.map(({ collector, reason }) =>
    createFinding('note', `the collector ${collector} is not possible here`, reason),
  )
  return [...failed, ...absent]
}

/** Of the whole machine. */
function createFinding(severity: Finding['severity'], what: string, reason: string): Finding {
  return {
    severity,
    topic: 'unknown',
    namespaces: [],
    what,
    why: `${reason}.`,
    fix: '',
    commands: [],
  }
}
