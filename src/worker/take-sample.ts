// One sample: the namespaces there are, those of them that are due read and modelled -> Sample.

import type { GivenName, Recorded, Sample } from '../sample.ts'
import type { SamplingSettings } from '../settings.ts'
import type { Destination } from '../snapshot.ts'
import type { FailureWatch } from './failure-watch.ts'
import { noteFailing } from './last-read.ts'
import { createNaming } from './naming.ts'
import type { NatWatch } from './nat-watch.ts'
import { type PublishingOptions, publishAll } from './publishing.ts'
import { createReading, type ReadingOptions } from './reading.ts'
import { createStopwatch } from './stopwatch.ts'
import { createWatchList } from './watch-list.ts'
import {
  type Counted,
  lastingKeyOf,
  listConntrackCounted,
  listProbeOpens,
  type Watched,
} from './watched.ts'

export interface SampleOptions
  extends ReadingOptions,
    PublishingOptions,
    Pick<SamplingSettings, 'mostNamespaces'> {
  /** Undefined where failures are not counted. */
  readonly failureWatch: FailureWatch | undefined
  /** Undefined where what is translated is not watched. */
  readonly natWatch?: NatWatch | undefined
  /** Names that earlier workers gave. */
  readonly given?: readonly GivenName[] | undefined
  /** What earlier workers have counted. */
  readonly counts?: Counted | undefined
}

/** Creates the sampling function; it keeps what is known of each namespace between calls. */
export function createTakeSample(
  options: SampleOptions,
): (budgetSeconds: number) => Promise<Sample> {
  const { names, clocks, failureWatch, natWatch, prober, buckets } = options
  const list = createWatchList(options.namespaces, options.counts)
  const reading = createReading(options)
  const naming = createNaming(names, options.given)

  return async (budgetSeconds) => {
    const cpuBefore = clocks.cpuSeconds()
    const watch = createStopwatch(clocks.monotonicSeconds)
    const now = clocks.monotonicSeconds()
    const blindness = list.look(now)
    for (const one of list.all.values()) if (mayBecomeKnown(one, now)) names.identify(one.identity)
    reading.boundAll(list)
    list.choose({ most: options.mostNamespaces, isFailing: reading.isFailing })
    watch.discovered()
    const { firstSeconds, postponed } = await reading.readDue(list, budgetSeconds, watch)
    const named = naming.nameAll(list, now)
    await natWatch?.read(list.shown, budgetSeconds)
    names.retain(list.all)
    // A worker that has never seen who is there cannot say that nobody is. The kernel keeps the failures meanwhile.
    const counting = list.all.size === 0 ? undefined : failureWatch
    const recorded = counting?.read(list.all.values())
    noteRecorded(list.all.values(), recorded, now)
    const namespaces = publishAll(list.shown, options)
    // First, so that this less the durations is never later than the sample began.
    const takenAtSeconds = clocks.unixSeconds()
    const durations = watch.stop()
    const failed = list.shown.flatMap(({ last }) => last.readError?.reason ?? [])
    return {
      takenAtSeconds,
      durations,
      namespaces,
      leftOut: { namespaces: list.all.size - list.shown.length, postponed },
      readErrors: blindness === undefined ? failed : [...failed, blindness.reason],
      collectors: [
        {
          collector: 'sockets',
          success: blindness === undefined && failed.length < list.shown.length,
          durationSeconds: durations.discover + durations.read + durations.model,
        },
        ...names.collectors(),
        ...[counting, buckets, prober, natWatch].flatMap((one) => one?.collector() ?? []),
      ],
      absences: [
        ...nameAbsence('failures', failureWatch?.absence()),
        ...nameAbsence('buckets', buckets?.absence),
      ],
      cpuSeconds: clocks.cpuSeconds() - cpuBefore - Math.min(firstSeconds, budgetSeconds),
      recorded,
      named,
      opens: listProbeOpens(list.all.values()),
      counted: listConntrackCounted(list.all.values()),
      wanted: names.wanted(),
    }
  }
}

function nameAbsence(collector: string, reason: string | undefined): Sample['absences'] {
  return reason === undefined ? [] : [{ collector, reason }]
}

/** A runtime starts the process that tells whose a namespace is after it has made it. */
const STARTING_SECONDS = 60

/** Whether it is worth looking whose it is: one that is left out stays nobody's before long. */
function mayBecomeKnown({ identity, published }: Watched, nowSeconds: number): boolean {
  return !published.leftOut || nowSeconds - identity.firstSeenSeconds < STARTING_SECONDS
}

function noteRecorded(
  watched: Iterable<Watched>,
  recorded: Recorded | undefined,
  nowSeconds: number,
): void {
  const refused = new Map<string | undefined, Destination[]>()
  for (const { netns, source, destination } of recorded?.reading?.events ?? []) {
    const destinations = refused.get(netns) ?? []
    refused.set(netns, destinations)
    if (source !== undefined && destination !== undefined) {
      destinations.push({ source, destination })
    }
  }
  if (refused.size === 0) return
  for (const { identity, last } of watched) {
    const destinations = refused.get(lastingKeyOf(identity))
    if (destinations === undefined) continue
    noteFailing(last, destinations, nowSeconds)
  }
}
