// The names of this node's pods for a sampler that asks at every sample and never waits: a PodDirectory behind it.

import type { Pod } from '../sample.ts'
import type { Snapshot } from '../snapshot.ts'
import type { ClusterSettings } from './cluster.ts'
import { createPodDirectory, type PodDirectoryLog } from './directory.ts'

export interface PodNames {
  request(podUids: readonly string[], containerIds: readonly string[]): void
  /** How the last list went; undefined until there was one. */
  collector(): Snapshot['collectors'][number] | undefined
  stop(): void
}

/** `answered`: whether the last list came. */
export type TellPods = (pods: readonly Pod[], answered: boolean) => void

/** `tell` is called with all known pods whenever a list came in, or has failed. */
export function openPodNames(
  settings: ClusterSettings,
  { log, tell }: { readonly log: PodDirectoryLog; readonly tell: TellPods },
): PodNames {
  const directory = createPodDirectory({
    ...settings,
    now: () => performance.now(),
    log,
    onListed: (success) => tell(directory.pods(), success),
  })
  return {
    request: directory.request,
    collector() {
      const last = directory.lastList()
      return last && { collector: 'kubernetes', ...last }
    },
    stop: directory.stop,
  }
}
