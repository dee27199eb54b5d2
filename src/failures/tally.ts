// Counts records of failed allocations that are alike, for a reading of bounded size: records -> FailureEvent. A namespace
// with many kinds of failures loses their destinations, never their number, and never those of another namespace.

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
 * Kinds of failures that one reading tells apart, so that a storm costs the main thread little. Each namespace has as many
 * of them as it needs, or an equal share, and one event more for each CPU.
 */
const MOST_KINDS = 2000

interface Kind {
  readonly cpu: number
  readonly owner: string | undefined
  readonly record: FailureRecord
  count: number
}

interface Group {
  readonly kinds: Map<string, Kind>
  /** By CPU, failures of which only the number is kept. */
  readonly others: Map<number, number>
}

/** Counts records that are alike, whichever thread made them, and asks once about each thread. */
export function createTally({ netnsOf, ownerOf }: Resolvers): Tally {
  const threads = new Map<number, Pick<FailureEvent, 'netns' | 'owner'>>()
  /** By the key of the namespace. Those of threads whose namespace is not known are one group. */
  const groups = new Map<string | undefined, Group>()
  let kindCount = 0

  function resolve(pid: number): Pick<FailureEvent, 'netns' | 'owner'> {
    const known = threads.get(pid) ?? { netns: netnsOf(pid), owner: ownerOf(pid) }
    threads.set(pid, known)
    return known
  }

  function shareKinds(): void {
    let left = MOST_KINDS
    const smallestFirst = [...groups.values()].toSorted((a, b) => a.kinds.size - b.kinds.size)
    for (const [index, group] of smallestFirst.entries()) {
      const share = Math.floor(left / (smallestFirst.length - index))
      if (group.kinds.size > share) keepLargest(group, share)
      left -= group.kinds.size
    }
    kindCount = MOST_KINDS - left
  }

  return {
    add(cpu, record) {
      const { netns, owner } = resolve(record.pid)
      const group = groups.get(netns) ?? { kinds: new Map(), others: new Map() }
      groups.set(netns, group)
      const { localAddress, remoteAddress, remotePort } = record
      const key = [cpu, owner, localAddress, remoteAddress, remotePort].join()
      const known = group.kinds.get(key)
      if (known !== undefined) known.count++
      else {
        group.kinds.set(key, { cpu, owner, record, count: 1 })
        kindCount++
        // Twice as many, so that one sharing serves for many records.
        if (kindCount > 2 * MOST_KINDS) shareKinds()
      }
    },
    events() {
      if (kindCount > MOST_KINDS) shareKinds()
      return [...groups].flatMap(([netns, group]) => renderGroup(netns, group))
    },
  }
}

function keepLargest({ kinds, others }: Group, share: number): void {
  const ordered = [...kinds].toSorted(([, a], [, b]) => b.count - a.count)
  for (const [key, { cpu, count }] of ordered.slice(share)) {
    kinds.delete(key)
    others.set(cpu, (others.get(cpu) ?? 0) + count)
  }
}

function renderGroup(netns: string | undefined, { kinds, others }: Group): FailureEvent[] {
  const known = [...kinds.values()].map(({ cpu, owner, record, count }) => {
    const { localAddress, remoteAddress, remotePort } = record
    const source = renderAddress(localAddress, 0)
    const destination = renderEndpoint(remoteAddress, 0, remotePort)
    return { cpu, netns, owner, source, destination, count }
  })
  const nothingKnown = { owner: undefined, source: undefined, destination: undefined }
  return [...known, ...[...others].map(([cpu, count]) => ({ cpu, netns, ...nothingKnown, count }))]
}
