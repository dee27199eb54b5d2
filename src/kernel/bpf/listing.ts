// What the command `bpf` prints: the program that reads bind buckets, as it would be loaded into the running kernel.

import { DecodeError, SourceError } from '../../observation.ts'
import { disassemble } from './assembler.ts'
import { type BucketProgram, LICENSE, writeBucketProgram } from './bucket-program.ts'
import { KERNEL_BTF, readBtf } from './buckets.ts'

/** Lists the program for the kernel that `btfPath` describes, which anybody may read. Throws SourceError. */
export function listBucketProgram(btfPath = KERNEL_BTF): string {
  const { lines } = writeProgram(btfPath)
  return `; iter/tcp, license "${LICENSE}", for the kernel that ${btfPath} describes\n${disassemble(lines)}`
}

function writeProgram(btfPath: string): BucketProgram {
  try {
    return writeBucketProgram(readBtf(btfPath))
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw new SourceError('malformed', `Cannot use ${btfPath}: ${error.message}`, { cause: error })
  }
}
