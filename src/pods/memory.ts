// The pods of the last lists: what came in -> what is known. A pod that is no longer listed is forgotten after a grace.

import type { Pod } from '../sample.ts'

export interface PodMemory {
  /** A whole list. */
  take(pods: readonly Pod[], nowMs: number): void
  pods(nowMs: number): Pod[]
  /** `id` is a pod's UID or the id of a container. */
  knows(id: string, nowMs: number): boolean
}

interface Known {
  readonly pod: Pod
  /** When a list was the first without it. */
  readonly missingSinceMs: number
}

export function createPodMemory(graceMs: number): PodMemory {
  const known = new Map<string, Known>()
  const podOfContainer = new Map<string, string>()

  const alive = (entry: Known, nowMs: number) => nowMs - entry.missingSinceMs < graceMs
  return {
    take(listed, nowMs) {
      for (const [uid, { pod, missingSinceMs }] of known) {
        const entry = { pod, missingSinceMs: Math.min(missingSinceMs, nowMs) }
        if (alive(entry, nowMs)) known.set(uid, entry)
        else known.delete(uid)
      }
      for (const pod of listed) {
        known.set(pod.uid, { pod, missingSinceMs: Number.POSITIVE_INFINITY })
      }
      podOfContainer.clear()
      for (const { pod } of known.values()) {
        for (const id of Object.keys(pod.containers)) podOfContainer.set(id, pod.uid)
      }
    },
    pods: (nowMs) =>
      [...known.values()].filter((entry) => alive(entry, nowMs)).map(({ pod }) => pod),
    knows(id, nowMs) {
      const entry = known.get(podOfContainer.get(id) ?? id)
      return entry !== undefined && alive(entry, nowMs)
    },
  }
}
