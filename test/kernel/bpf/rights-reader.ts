// Started by a test with fewer rights: tries to read bind buckets and prints what came of it as JSON. The first argument is
// where BTF is; with the second, `seccomp`, it first forbids itself bpf(2) for good.

import { createServer } from 'node:net'
import { openBucketReader } from '../../../src/kernel/bpf/buckets.ts'
import { describeMissingRights } from '../../../src/kernel/bpf/rights.ts'
import { openLibc } from '../../../src/kernel/libc.ts'
import { SourceError } from '../../../src/observation.ts'
import { openLibc as openTestLibc } from '../../support/kernel/libc.ts'

export interface RightsAnswer {
  /** Whether the port of a listener is closed, and another is not; undefined where nothing could be read. */
  readonly told?: readonly (number | undefined)[]
  readonly reason?: string
  readonly message?: string
}

async function answer(btf: string): Promise<RightsAnswer> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  try {
    const closed = openBucketReader(await openLibc(), btf).readClosedPorts()
    return { told: [closed[port], closed[9]] }
  } catch (error) {
    if (!(error instanceof SourceError)) throw error
    const rights = error.reason === 'permission' ? describeMissingRights() : ''
    return { reason: error.reason, message: `${error.message}${rights}` }
  } finally {
    server.close()
  }
}

const [, , btf = '', seccomp] = process.argv
if (seccomp === 'seccomp') openTestLibc().forbidBpf()
console.log(JSON.stringify(await answer(btf)))
