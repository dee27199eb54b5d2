// The pods of the last lists: what came in -> what is known. A pod that is no longer listed is forgotten after a grace.

import type { Pod } from './kubernetes-pods.ts'

export interface PodMemory {
  /** A whole list. */
  take(pods: readonly Pod[], nowMs: number): void
  lookup(podUid: string, nowMs: number): Pod | undefined
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
  const lookup = (podUid: string, nowMs: number) => {
    const entry = known.get(podUid)
    return entry !== undefined && alive(entry, nowMs) ? entry.pod : undefined
  }
  return {
    lookup,
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
    knows: (id, nowMs) => lookup(podOfContainer.get(id) ?? id, nowMs) !== undefined,
  }
}
