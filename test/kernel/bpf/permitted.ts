// Whether this machine lets the tests read bind buckets.

import { openBucketReader } from '../../../src/kernel/bpf/buckets.ts'
import { openLibc } from '../../../src/kernel/libc.ts'
import { whyNotExact } from '../../support/netns/live.ts'

/** The reason for `ctx.skip(reason)`, or undefined where bind buckets can be read. */
export async function whyNoBuckets(): Promise<string | undefined> {
  const reason = whyNotExact()
  if (reason !== undefined) return reason
  try {
    openBucketReader(await openLibc()).close()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
