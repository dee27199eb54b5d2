// The diagnosis of the newest sample, made when first asked for and then only handed out.

import type { Snapshot } from '../snapshot.ts'
import { type Diagnosis, diagnose } from './diagnose.ts'
import type { HostFacts } from './finding.ts'

export interface Diagnoser {
  /** Call it with every sample, so that the next one is compared with it. */
  note(snapshot: Snapshot): void
  diagnose(snapshot: Snapshot): Diagnosis
}

/** `facts` may change until the program listens, so they are asked for each time. */
export function createDiagnoser(facts: () => HostFacts): Diagnoser {
  const made = new WeakMap<Snapshot, Diagnosis>()
  let current: Snapshot | undefined
  let before: Snapshot | undefined

  return {
    note(snapshot) {
      before = current
      current = snapshot
    },
    diagnose(snapshot) {
      const known = made.get(snapshot)
      if (known !== undefined) return known
      const diagnosis = diagnose(snapshot, facts(), snapshot === current ? before : current)
      made.set(snapshot, diagnosis)
      return diagnosis
    },
  }
}
