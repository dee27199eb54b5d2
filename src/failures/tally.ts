// Counts records of failed allocations that are alike, for a reading of bounded size: records -> FailureEvent. A
// namespace with many kinds of failures loses their destinations, never their number, and never those of another
// namespace. Of threads that have ended no namespace is known, and their source address stands for it: with its
// destination it tells the namespace (ledger/locate.ts).

import type { FailureRecord } from '../kernel/trace-ring-page.ts'
import { renderAddress, renderEndpoint } from '../model/addresses.ts'
import type { FailureEvent } from '../sample.ts'

/** What the reader of events asks while their threads may still live. */
export interface Resolvers {
  /** The key of the namespace that a thread is in, ELSEWHERE, or undefined where that cannot be known. */
  readonly netnsOf: (pid: number) => string | undefined
  readonly ownerOf: (pid: number) => string | undefined
}

export interface Tally {
  add(cpu: number, record: FailureRecord): void
  events(): FailureEvent[]
}

/**
 * Kinds of failures that one reading tells apart, so that a storm costs the main thread little, and one event more
 * for each CPU and namespace.
 */
const MOST_KINDS = 2000

interface Kind {
  readonly cpu: number
  /** Undefined where the thread had gone. */
  readonly netns: string | undefined
  readonly owner: string | undefined
  readonly record: FailureRecord
  /** Nobody can tell which of equals is kept. */
  readonly lot: number
  count: number
}

/** Counts records that are alike, whichever thread made them, and asks once about each thread. */
export function createTally({ netnsOf, ownerOf }: Resolvers, random = Math.random): Tally {
  const threads = new Map<number, Pick<FailureEvent, 'netns' | 'owner'>>()
  let kinds = new Map<string, Kind>()
  /** Failures of which only the number is kept, by namespace and CPU. */
  const others = new Map<string, FailureEvent>()

  function resolve(pid: number): Pick<FailureEvent, 'netns' | 'owner'> {
    const known = threads.get(pid) ?? { netns: netnsOf(pid), owner: ownerOf(pid) }
    threads.set(pid, known)
    return known
  }

  function shareKinds(): void {
    const ordered = orderKinds(kinds)
    kinds = new Map(ordered.slice(0, MOST_KINDS))
    for (const [, { cpu, netns, count }] of ordered.slice(MOST_KINDS)) {
      const key = `${cpu} ${netns}`
      const before = others.get(key)?.count ?? 0
      others.set(key, { cpu, netns, ...nothingKnown, count: before + count })
    }
  }

  return {
    add(cpu, record) {
      const { netns, owner } = resolve(record.pid)
      const { localAddress, remoteAddress, remotePort } = record
      const key = [cpu, netns, owner, localAddress, remoteAddress, remotePort].join()
      const known = kinds.get(key)
      if (known !== undefined) known.count++
      else {
        kinds.set(key, { cpu, netns, owner, record, lot: random(), count: 1 })
        // Twice as many, so that one sharing serves for many records.
        if (kinds.size > 2 * MOST_KINDS) shareKinds()
      }
    },
    events() {
      if (kinds.size > MOST_KINDS) shareKinds()
      return [...[...kinds.values()].map(renderKind), ...others.values()]
    },
  }
}

const nothingKnown = { owner: undefined, source: undefined, destination: undefined } as const

/**
 * Lists those to be kept first. Namespaces take turns. Where none is known a source's kinds wait the longer the more of
 * them came before, and the shorter the more failures they are: neither a source with many kinds nor many sources
 * push out one that fails as much as they do together.
 */
function orderKinds(kinds: ReadonlyMap<string, Kind>): readonly [string, Kind][] {
  const largestFirst = [...kinds].toSorted(
    ([, left], [, right]) => right.count - left.count || left.lot - right.lot,
  )
  const fair = sortByWait(
    largestFirst,
    ({ netns, record }) => netns ?? `from ${record.localAddress}`,
    (turn, { count }) => turn / count,
  )
  return sortByWait(
    fair,
    ({ netns }) => netns,
    (turn) => turn,
  )
}

/** Sorts by a wait, which depends on the turn of each among those of its group, in their order. */
function sortByWait(
  kinds: readonly [string, Kind][],
  groupOf: (kind: Kind) => string | undefined,
  waitOf: (turn: number, kind: Kind) => number,
): readonly [string, Kind][] {
  const turns = new Map<string | undefined, number>()
  const waiting = kinds.map((entry) => {
    const group = groupOf(entry[1])
    const turn = (turns.get(group) ?? 0) + 1
    turns.set(group, turn)
    return { entry, wait: waitOf(turn, entry[1]) }
  })
  return waiting.toSorted((left, right) => left.wait - right.wait).map(({ entry }) => entry)
}

function renderKind({ cpu, netns, owner, record, count }: Kind): FailureEvent {
  const { localAddress, remoteAddress, remotePort } = record
  const source = renderAddress(localAddress, 0)
  const destination = renderEndpoint(remoteAddress, 0, remotePort)
  return { cpu, netns, owner, source, destination, count }
}
