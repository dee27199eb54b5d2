// The worker's side of the buckets collector: where bind history is hidden and matters, the kernel's own bind buckets
// are read, and no port stays in doubt.

import { type BucketReader, openBucketReader } from '../kernel/bpf/buckets.ts'
import { describeMissingRights } from '../kernel/bpf/rights.ts'
import type { Libc } from '../kernel/libc.ts'
import type { PortDoubt, PortTests } from '../model/hidden-ports.ts'
import { SourceError } from '../observation.ts'
import type { SamplingSettings } from '../settings.ts'
import type { Snapshot } from '../snapshot.ts'
import { attempt } from './read-error.ts'

export interface BucketWatch {
  /**
   * Why buckets are not read although nobody switched that off; undefined where they are, or where they were asked for.
   */
  readonly absence: string | undefined
  /**
   * Tells of each port in doubt whether it is closed. Returns undefined where that is not worth a walk, or does not
   * work. To be called inside the namespace, after its sockets were listed.
   */
  resolve(doubt: PortDoubt): PortTests | undefined
  /** Ends a sample. Returns undefined where the collector is absent. */
  collector(): Snapshot['collectors'][number] | undefined
}

export interface BucketWatchOptions extends Pick<SamplingSettings, 'detailMinUtilization'> {
  /** Undefined where the source of sockets works without it. */
  readonly libc: Libc | undefined
  /** Where the kernel describes its types; undefined: where it always does. */
  readonly btf?: string
  /** Whether the user asked for buckets by name: then it is a problem that they cannot be read. */
  readonly asked: boolean
  readonly monotonicSeconds: () => number
}

export function createBucketWatch(options: BucketWatchOptions): BucketWatch {
  const { libc, asked, btf, monotonicSeconds, detailMinUtilization } = options
  let reader: BucketReader | undefined
  let durationSeconds = 0
  let problem = attemptWithRights(() => {
    if (libc === undefined) {
      throw new SourceError('unsupported', 'Cannot read bind buckets: that needs --source=netlink')
    }
    reader = openBucketReader(libc, btf)
  })
  const absence = asked || reader !== undefined ? undefined : problem

  function walk(doubt: PortDoubt): PortTests | undefined {
    let tests: PortTests | undefined
    const failed = attemptWithRights(() => {
      const closed = reader?.readClosedPorts()
      const testedAtSeconds = monotonicSeconds()
      tests = new Map(
        doubt.ambiguous.map((port) => [port, { closed: closed?.[port] === 1, testedAtSeconds }]),
      )
    })
    problem ??= failed
    return tests
  }

  return {
    absence,
    resolve(doubt) {
      const { capacityPorts, unusedPorts, ambiguous } = doubt
      const worstRatio = (capacityPorts - unusedPorts) / capacityPorts
      const isWorth = ambiguous.length > 0 && worstRatio >= detailMinUtilization
      if (reader === undefined || !isWorth) return undefined
      const before = monotonicSeconds()
      const tests = walk(doubt)
      durationSeconds += monotonicSeconds() - before
      return tests
    },
    collector() {
      if (absence !== undefined) return undefined
      const row = { collector: 'buckets', success: problem === undefined, durationSeconds, problem }
      durationSeconds = 0
      // What could not be loaded is not tried again; a walk is.
      if (reader !== undefined) problem = undefined
      return row
    },
  }
}

/** A missing right is said with what would give it. */
function attemptWithRights(call: () => void): string | undefined {
  const failed = attempt(call)
  return failed?.reason === 'permission'
    ? `${failed.message}${describeMissingRights()}`
    : failed?.message
}
