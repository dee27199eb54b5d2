// The namespaces that are watched: those there are now, each with what is remembered of it from earlier samples.

import type { Namespaces } from '../namespaces/namespaces.ts'
import type { NetNamespace } from '../namespaces/net-namespace.ts'
import type { ReadError } from '../snapshot.ts'
import { type CrowdOptions, chooseShown } from './crowd.ts'
import { noteReadError } from './last-read.ts'
import { judgeReadError } from './read-error.ts'
import {
  type Counted,
  listConntrackCounted,
  listProbeOpens,
  recallCounts,
  startWatching,
  type Watched,
} from './watched.ts'

export interface WatchList {
  /** Namespaces by id, as of the last look. */
  readonly all: ReadonlyMap<number, Watched>
  /** Namespaces that are read and shown, as of the last choice. */
  readonly shown: readonly Watched[]
  /** Whether the last look failed: it is not known then who has gone. */
  readonly blind: boolean
  /** Looks which namespaces there are; returns why that could not be found out, or undefined. */
  look(nowSeconds: number): ReadError | undefined
  /** Chooses which are shown. */
  choose(options: CrowdOptions): void
}

/** A process that cannot be listed now and then is no reason to forget everything. */
const BLIND_SAMPLES = 2

export function createWatchList(
  namespaces: Pick<Namespaces, 'list'>,
  earlier: Counted = { opens: new Map(), counted: new Map() },
): WatchList {
  let all: ReadonlyMap<number, Watched> = new Map()
  let shown: readonly Watched[] = []
  /** Looks in a row that failed. */
  let blindSamples = 0

  function listNamespaces(): readonly NetNamespace[] | ReadError {
    try {
      return namespaces.list()
    } catch (error) {
      return judgeReadError(error)
    }
  }

  /** All stay as they were. What was read last of the others than our own is said of them, but not for long. */
  function suffer(readError: ReadError): void {
    blindSamples++
    for (const { identity, last } of all.values()) {
      if (!identity.namespace.own && blindSamples > BLIND_SAMPLES) noteReadError(last, readError)
    }
  }

  function meet(namespaces: readonly NetNamespace[], nowSeconds: number): void {
    const before = all
    const met: Watched[] = []
    all = new Map(
      namespaces.map((namespace) => {
        let one = before.get(namespace.id)
        if (one === undefined) {
          one = startWatching(namespace, nowSeconds)
          met.push(one)
        }
        one.identity.namespace = namespace
        return [namespace.id, one]
      }),
    )
    if (met.length === 0) return
    // A namespace that has another id now is the same to the kernel.
    const opens = new Map([...earlier.opens, ...listProbeOpens(before.values())])
    const counted = new Map([...earlier.counted, ...listConntrackCounted(before.values())])
    for (const one of met) recallCounts(one, { opens, counted })
  }

  return {
    get all() {
      return all
    },
    get shown() {
      return shown
    },
    get blind() {
      return blindSamples > 0
    },
    look(nowSeconds) {
      const namespaces = listNamespaces()
      if ('reason' in namespaces) {
        suffer(namespaces)
        return namespaces
      }
      blindSamples = 0
      meet(namespaces, nowSeconds)
      return undefined
    },
    choose(options) {
      shown = chooseShown(all.values(), options)
    },
  }
}
