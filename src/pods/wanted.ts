// The ids nobody could name yet: when is it worth asking for them again? Some never will be known (a cgroup whose pod
// is gone, a container inside a container), so each waits twice as long after every list that does not have it.

export interface Backoff {
  /** Before the first repetition; it doubles with each. */
  readonly firstMs: number
  readonly longestMs: number
  /** Gives numbers from 0 up to 1. */
  readonly random: () => number
}

/** After that many attempts in a row that gave nothing, 1 or more: between half and all of the doubled wait. */
export function takeBackoffMs(attempts: number, { firstMs, longestMs, random }: Backoff): number {
  const wholeMs = Math.min(firstMs * 2 ** (attempts - 1), longestMs)
  return wholeMs * (1 - random() / 2)
}

/** What the server asked for, and up to a quarter more: all nodes were told the same second. */
export function takeRetryAfterMs(retryAfterMs: number, { random }: Backoff): number {
  return retryAfterMs * (1 + random() / 4)
}

export interface WantedIds {
  /** Ids not wanted before are due at `dueMs`; the others are only still wanted. */
  add(ids: Iterable<string>, nowMs: number, dueMs: number): void
  /** When the next id is due; infinity while there is none. */
  dueMs(nowMs: number): number
  /** A list started at `startedMs` has come in. */
  settle(isKnown: (id: string) => boolean, startedMs: number, nowMs: number): void
}

/** Twice the longest interval between two samples: who has not asked for that long has stopped asking. */
const WANTED_FOR_MS = 600_000
/** A node has some hundred pods. More names than this are made up by someone. */
const MOST_IDS = 1000

export function createWantedIds(backoff: Backoff): WantedIds {
  const wanted = new Map<string, { dueMs: number; misses: number; askedMs: number }>()
  return {
    add(ids, nowMs, dueMs) {
      for (const id of ids) {
        const known = wanted.get(id)
        if (known !== undefined) known.askedMs = nowMs
        else if (wanted.size < MOST_IDS) wanted.set(id, { dueMs, misses: 0, askedMs: nowMs })
      }
    },
    dueMs(nowMs) {
      let soonestMs = Number.POSITIVE_INFINITY
      for (const [id, { dueMs, askedMs }] of wanted) {
        if (nowMs - askedMs > WANTED_FOR_MS) wanted.delete(id)
        else soonestMs = Math.min(soonestMs, dueMs)
      }
      return soonestMs
    },
    settle(isKnown, startedMs, nowMs) {
      for (const [id, entry] of wanted) {
        if (isKnown(id)) wanted.delete(id)
        // A list made for the sake of another id is no miss of one whose turn had not come.
        else if (entry.dueMs <= startedMs) {
          entry.misses++
          entry.dueMs = nowMs + takeBackoffMs(entry.misses, backoff)
        }
      }
    },
  }
}
