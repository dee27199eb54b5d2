// bpf(2): a program -> a descriptor from which each walk over the sockets begins. Nothing is pinned: the kernel forgets
// all of it when the descriptors are closed. Structures and numbers are those of include/uapi/linux/bpf.h.

import { SourceError } from '../../observation.ts'
import { type BpfPointer, type Libc, SystemError } from '../libc.ts'
import { explainRefusal } from '../refused-call.ts'
import { assemble, INSTRUCTION_BYTES } from './assembler.ts'
import { type BucketProgram, LICENSE } from './bucket-program.ts'

const COMMAND = { loadProgram: 5, createLink: 28, createIterator: 33 } as const
const TRACING_PROGRAM = 26
const ITERATOR = 28
/** union bpf_attr, offsets by command. */
const LOAD = {
  bytes: 112,
  programType: 0,
  instructionCount: 4,
  instructions: 8,
  license: 16,
  logLevel: 24,
  logBytes: 28,
  log: 32,
  name: 48,
  attachType: 68,
  attachTo: 108,
} as const
const LINK = { bytes: 32, program: 0, attachType: 8 } as const
const CREATE = { bytes: 8, link: 0 } as const
/** Shown by `bpftool prog`; 15 characters at most. */
const NAME = 'ephemeral_port'
const LOG_BYTES = 64 * 1024
/** The verifier's last words: the instruction it refused, and why. */
const LOG_LINES = 3

/** Loads the program and returns the descriptor of its link. Throws SourceError with the verifier's reason. */
export function loadIterator(libc: Libc, program: BucketProgram): number {
  const fd = loadProgram(libc, program)
  try {
    return bpf(libc, 'make an iterator of the program', COMMAND.createLink, LINK.bytes, {
      fields: [
        [LINK.program, fd],
        [LINK.attachType, ITERATOR],
      ],
    })
  } finally {
    // The link keeps the program.
    libc.close(fd)
  }
}

/** Begins a walk over the sockets of the calling thread's network namespace; returns a descriptor to read from. */
export function createIterator(libc: Libc, link: number): number {
  return bpf(libc, 'begin a walk', COMMAND.createIterator, CREATE.bytes, {
    fields: [[CREATE.link, link]],
  })
}

function loadProgram(libc: Libc, program: BucketProgram): number {
  try {
    return tryLoad(libc, program)
  } catch (error) {
    // EPERM is said before the program is looked at. EACCES is the verifier's, or that of a security module such as
    // SELinux.
    if (!(error instanceof SourceError) || isForbidden(error)) throw error
    const words = askVerifier(libc, program)
    if (words === '') throw error
    throw new SourceError('unsupported', `${error.message}: ${words}`, { cause: error })
  }
}

function isForbidden({ cause }: SourceError): boolean {
  return cause instanceof SystemError && cause.code === 'EPERM'
}

function tryLoad(libc: Libc, { lines, attachTo }: BucketProgram, log?: Uint8Array): number {
  const instructions = assemble(lines)
  return bpf(libc, 'load the program', COMMAND.loadProgram, LOAD.bytes, {
    fields: [
      [LOAD.programType, TRACING_PROGRAM],
      [LOAD.instructionCount, instructions.length / INSTRUCTION_BYTES],
      [LOAD.logLevel, log === undefined ? 0 : 1],
      [LOAD.logBytes, log?.length ?? 0],
      [LOAD.attachType, ITERATOR],
      [LOAD.attachTo, attachTo],
    ],
    text: [LOAD.name, NAME],
    pointers: [
      [LOAD.instructions, instructions],
      [LOAD.license, encodeText(`${LICENSE}\0`)],
      ...(log === undefined ? [] : ([[LOAD.log, log]] as const)),
    ],
  })
}

/** Loads the program once more, for the sake of what the verifier says. */
function askVerifier(libc: Libc, program: BucketProgram): string {
  const log = new Uint8Array(LOG_BYTES)
  try {
    libc.close(tryLoad(libc, program, log))
    return ''
  } catch (error) {
    if (!(error instanceof SourceError)) throw error
    const text = Buffer.from(log.buffer, 0, log.indexOf(0)).toString('latin1')
    return text.trim().split('\n').slice(-LOG_LINES).join('; ')
  }
}

interface Attributes {
  readonly fields: readonly (readonly [offset: number, value: number])[]
  readonly text?: readonly [offset: number, text: string]
  readonly pointers?: readonly BpfPointer[]
}

function bpf(
  libc: Libc,
  action: string,
  command: number,
  length: number,
  { fields, text, pointers }: Attributes,
): number {
  const bytes = new Uint8Array(new ArrayBuffer(length))
  const view = new DataView(bytes.buffer)
  for (const [offset, value] of fields) view.setUint32(offset, value, true)
  if (text !== undefined) bytes.set(encodeText(text[1]), text[0])
  try {
    return libc.bpf(command, bytes, pointers)
  } catch (error) {
    throw explain(action, error)
  }
}

/** Explains an error as explainRefusal() does. */
export function explain(action: string, error: unknown): unknown {
  return explainRefusal(`Cannot read bind buckets: cannot ${action}`, error)
}

function encodeText(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
