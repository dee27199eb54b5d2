// The namespaces that are watched: those there are now, each with what is remembered of it from earlier samples.

import type { Place } from '../namespaces/place.ts'
import type { World } from '../namespaces/world.ts'
import { type Failure, judgeFailure } from './read-failure.ts'
import { listProbeOpens, recallProbeOpens, startWatching, type Watched } from './watched.ts'

export interface WatchList {
  /** By id, as of the last look. */
  readonly all: ReadonlyMap<number, Watched>
  /** Whether the last look failed: it is not known then who has gone. */
  readonly blind: boolean
  /** Looks which namespaces there are; returns why that could not be found out, or undefined. */
  look(nowSeconds: number): Failure | undefined
}

/** A process that cannot be listed now and then is no reason to forget everything. */
const BLIND_SAMPLES = 2

export function createWatchList(
  world: Pick<World, 'list'>,
  opensOfEarlierWorkers: ReadonlyMap<string, number> = new Map(),
): WatchList {
  let all: ReadonlyMap<number, Watched> = new Map()
  /** Looks in a row that failed. */
  let blindSamples = 0

  function listPlaces(): readonly Place[] | Failure {
    try {
      return world.list()
    } catch (error) {
      return judgeFailure(error)
    }
  }

  /** All stay as they were. What was read last of the others than our own is said of them, but not for long. */
  function suffer(failure: Failure): void {
    blindSamples++
    for (const { identity, last } of all.values()) {
      if (!identity.place.own && blindSamples > BLIND_SAMPLES) last.failure = failure
    }
  }

  function meet(places: readonly Place[], nowSeconds: number): void {
    const before = all
    const met: Watched[] = []
    all = new Map(
      places.map((place) => {
        let one = before.get(place.id)
        if (one === undefined) {
          one = startWatching(place, nowSeconds)
          met.push(one)
        }
        one.identity.place = place
        return [place.id, one]
      }),
    )
    if (met.length === 0) return
    // A namespace that has another id now is the same to the kernel.
    const opens = new Map([...opensOfEarlierWorkers, ...listProbeOpens(before.values())])
    for (const one of met) recallProbeOpens(one, opens)
  }

  return {
    get all() {
      return all
    },
    get blind() {
      return blindSamples > 0
    },
    look(nowSeconds) {
      const places = listPlaces()
      if ('reason' in places) {
        suffer(places)
        return places
      }
      blindSamples = 0
      meet(places, nowSeconds)
      return undefined
    },
  }
}
