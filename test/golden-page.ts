// The page of a recorded scenario: the same reading three times, a minute apart by a fixed clock, through the model and
// the renderer. Nothing in it depends on when or where it is made.

import { type Format, renderFamilies } from '../src/metrics/render.ts'
import { createStep, type ModelState } from '../src/model/step.ts'
import { countNoReadErrors, type NamespaceReading } from '../src/observation.ts'
import type { NamespaceState, OwnerName, Snapshot } from '../src/snapshot.ts'
import { buildNamespace } from './support/netns/namespace.ts'
import { sampleBuild } from './support/render/sample-snapshot.ts'

const SAMPLES = 3
const INTERVAL_SECONDS = 60
const HORIZON_SECONDS = 900
const FIRST_AT_UNIX_SECONDS = 1_764_000_000

/** All recorded processes sat in the root of the cgroup tree, which names nobody: their users do. */
const users = new Map([
  [0, 'root'],
  [1000, 'app'],
])

function nameUser(uid: number): OwnerName | undefined {
  const owner = users.get(uid)
  return owner === undefined ? undefined : { owner, ownerKind: 'user' }
}

export function renderGolden(read: () => NamespaceReading, format: Format): Promise<string> {
  return renderFamilies(replaySamples(read), sampleBuild, format)
}

/** The Snapshot after the last sample. */
export function replaySamples(read: () => NamespaceReading): Snapshot {
  const step = createStep({
    top: 10,
    peakWindowSeconds: 120,
    forecastHorizonSeconds: HORIZON_SECONDS,
    destinations: true,
    listeners: true,
    owners: true,
  })
  let model: ModelState | undefined
  let state: NamespaceState | undefined
  let takenAtSeconds = FIRST_AT_UNIX_SECONDS
  for (let sample = 0; sample < SAMPLES; sample++) {
    const atSeconds = sample * INTERVAL_SECONDS
    takenAtSeconds = FIRST_AT_UNIX_SECONDS + atSeconds
    const next = step(
      model,
      { ...read(), ownersBy: 'user' },
      {
        atSeconds,
        unixSeconds: takenAtSeconds,
        nameOwners: () => nameUser,
      },
    )
    model = next.state
    state = next.namespace
  }
  return {
    takenAtSeconds,
    intervalSeconds: INTERVAL_SECONDS,
    durations: { discover: 0.0005, read: 0.002, model: 0.001, other: 0.0005 },
    samples: SAMPLES,
    workerRestarts: 0,
    forecastHorizonSeconds: HORIZON_SECONDS,
    namespaces: [buildNamespace({ netns: 'self', netnsKind: 'self', state })],
    failures: countNoReadErrors(),
    collectors: [{ collector: 'sockets', success: true, durationSeconds: 0.0035 }],
    absences: [],
  }
}
