// The bind buckets of a network namespace: which ports are closed to every connect(), as the kernel itself has it. This
// needs Linux 5.9 with BTF, and CAP_BPF with CAP_PERFMON, or CAP_SYS_ADMIN.

import { readFileSync, statSync } from 'node:fs'
import { SourceError } from '../../observation.ts'
import { type Libc, SystemError } from '../libc.ts'
import { refusal } from '../proc-file.ts'
import { PORT_BYTES, writeBucketProgram } from './bucket-program.ts'
import { createIterator, explain, loadIterator } from './load.ts'

export const KERNEL_BTF = '/sys/kernel/btf/vmlinux'

export interface BucketReader {
  /**
   * Walks the sockets of the calling thread's network namespace. Returns an array with a 1 at each port that is closed
   * to every connect() outside of VRFs. Ports whose sockets are only bound may be missing: the kernel's iterator leaves
   * those out. Throws SourceError.
   */
  readClosedPorts(): Uint8Array
  close(): void
}

const PORTS = 65_536
/** A distribution's kernel has 5 to 12 MB. */
const MOST_BTF_BYTES = 64 * 1024 * 1024
/** The kernel gives no more at once (kernel/bpf/bpf_iter.c:bpf_seq_read). */
const READ_BYTES = 32 * 1024
/** The kernel pauses after a million sockets: enough for more than any machine can hold. */
const MOST_READS = 10_000

/** Loads the program for the running kernel. Throws SourceError, and DecodeError where BTF is damaged. */
export function openBucketReader(libc: Libc, btfPath = KERNEL_BTF): BucketReader {
  const link = loadIterator(libc, writeBucketProgram(readBtf(btfPath)))
  const chunk = new Uint8Array(new ArrayBuffer(READ_BYTES))
  return {
    readClosedPorts() {
      const walk = createIterator(libc, link)
      try {
        return collectPorts(() => readSome(libc, walk, chunk))
      } finally {
        libc.close(walk)
      }
    },
    close: () => libc.close(link),
  }
}

export function readBtf(path: string): Uint8Array {
  try {
    if (statSync(path).size <= MOST_BTF_BYTES) return readFileSync(path)
  } catch (error) {
    throw refusal(`read the kernel's types from ${path}`, error)
  }
  throw new SourceError('malformed', `Cannot read ${path}: it is longer than 64 MiB`)
}

/** `readNext` returns undefined where the kernel pauses, and no bytes at the end. */
function collectPorts(readNext: () => Uint8Array | undefined): Uint8Array {
  const closed = new Uint8Array(PORTS)
  for (let reads = 0; reads < MOST_READS; reads++) {
    const bytes = readNext()
    if (bytes?.length === 0) return closed
    if (bytes === undefined) continue
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (let at = 0; at + PORT_BYTES <= bytes.length; at += PORT_BYTES) {
      closed[view.getUint16(at, true)] = 1
    }
  }
  throw new SourceError('timeout', 'Cannot read bind buckets: the walk does not end')
}

function readSome(libc: Libc, walk: number, chunk: Uint8Array): Uint8Array | undefined {
  try {
    return chunk.subarray(0, libc.read(walk, chunk))
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    if (error.code === 'EAGAIN' || error.code === 'EINTR') return undefined
    throw explain('walk the sockets', error)
  }
}
