// Whether this kernel opens a port to connect() again when the socket goes whose bind() closed it. Before commit
// d57f4b874946 ("tcp: Update bind bucket state on port release"), which is in Linux 6.17.8 and 6.18, the port stays
// closed until its last socket has gone, and no listing shows that
// (docs/development/port-model.md#what-listings-do-not-tell).

import { SourceError } from '../observation.ts'
import { readBtf } from './bpf/buckets.ts'

/** A bit of struct inet_timewait_sock that came with the commit, as a name in BTF. */
const FIELD = '\0tw_connect_bind\0'

/**
 * Judges by the release, as uname(2) has it, and where that is older by the names in BTF, since distributions carry the
 * commit into older kernels. `btfPath` need not exist.
 */
export function reopensPorts(release: string, btfPath: string): boolean {
  return isRecent(release) || hasField(btfPath)
}

function isRecent(release: string): boolean {
  const [major = 0, minor = 0, patch = 0] = (/^\d+(\.\d+)*/.exec(release)?.[0] ?? '')
    .split('.')
    .map(Number)
  if (major !== 6) return major > 6
  return minor > 17 || (minor === 17 && patch >= 8)
}

function hasField(btfPath: string): boolean {
  try {
    const { buffer, byteOffset, byteLength } = readBtf(btfPath)
    return Buffer.from(buffer, byteOffset, byteLength).includes(FIELD)
  } catch (error) {
    if (error instanceof SourceError) return false
    throw error
  }
}
