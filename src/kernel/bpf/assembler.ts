// A few BPF instructions with names: lines of a program -> the bytes bpf(2) takes, and the text that a person reads.
// The encoding is that of Documentation/bpf/standardization/instruction-set.rst, the text that of the kernel's
// verifier. Pure.

export type Register = 'r0' | 'r1' | 'r2' | 'r3' | 'r6' | 'r7' | 'r8' | 'r10'
type Width = 'u8' | 'u16' | 'u32' | 'u64'

/** An offset in bytes, with what lies there in words. */
export interface Field {
  readonly offset: number
  readonly name: string
}

interface Instruction {
  readonly code: number
  readonly destination: Register
  readonly source?: Register
  readonly offset?: number
  readonly immediate?: number
  /** The label a jump goes to. */
  readonly target?: string
  /** Undefined where the text says all. */
  readonly comment?: string
  /** `jump` is the distance, in the kernel's spelling. */
  readonly text: (jump: string) => string
}

/** A program is a list of these; a string is a label, and stands for the instruction after it. */
export type Line = Instruction | string

const WIDTH = { u8: 0x10, u16: 0x08, u32: 0x00, u64: 0x18 } as const
/** A memory access of an operation: LDX is 0x61, STX 0x63, each with the width. */
const LOAD = 0x61
const STORE = 0x63
export const INSTRUCTION_BYTES = 8

export function load(
  destination: Register,
  width: Width,
  source: Register,
  { offset, name }: Field,
): Line {
  const text = () => `${destination} = *(${width} *)(${source} ${signed(offset)})`
  return { code: LOAD | WIDTH[width], destination, source, offset, comment: name, text }
}

/** Writes to the stack, which r10 points to the end of. */
export function store(width: Width, { offset, name }: Field, source: Register): Line {
  const text = () => `*(${width} *)(r10 ${signed(offset)}) = ${source}`
  return { code: STORE | WIDTH[width], destination: 'r10', source, offset, comment: name, text }
}

export function copy(destination: Register, source: Register): Line {
  return { code: 0xbf, destination, source, text: () => `${destination} = ${source}` }
}

export function set(destination: Register, immediate: number): Line {
  return { code: 0xb7, destination, immediate, text: () => `${destination} = ${immediate}` }
}

export function add(destination: Register, immediate: number): Line {
  return { code: 0x07, destination, immediate, text: () => `${destination} += ${immediate}` }
}

export function and(destination: Register, source: Register): Line {
  return { code: 0x5f, destination, source, text: () => `${destination} &= ${source}` }
}

export function goTo(target: string): Line {
  return { code: 0x05, destination: 'r0', target, text: (jump) => `goto pc${jump}` }
}

export function goToIfZero(destination: Register, target: string): Line {
  const text = (jump: string) => `if ${destination} == 0x0 goto pc${jump}`
  return { code: 0x15, destination, immediate: 0, target, text }
}

export function goToIfNotZero(destination: Register, target: string): Line {
  const text = (jump: string) => `if ${destination} != 0x0 goto pc${jump}`
  return { code: 0x55, destination, immediate: 0, target, text }
}

export function goToIfNotEqual(destination: Register, source: Register, target: string): Line {
  const text = (jump: string) => `if ${destination} != ${source} goto pc${jump}`
  return { code: 0x5d, destination, source, target, text }
}

/** Jumps where the register has a bit in common with `bits`. */
export function goToIfAny(destination: Register, bits: number, target: string): Line {
  const text = (jump: string) => `if ${destination} & 0x${bits.toString(16)} goto pc${jump}`
  return { code: 0x45, destination, immediate: bits, target, text }
}

/** Calls a helper of the kernel: `number` is its place in include/uapi/linux/bpf.h:__BPF_FUNC_MAPPER. */
export function call({ number, name }: { readonly number: number; readonly name: string }): Line {
  return {
    code: 0x85,
    destination: 'r0',
    immediate: number,
    text: () => `call ${name}#${number}`,
  }
}

export function exit(): Line {
  return { code: 0x95, destination: 'r0', text: () => 'exit' }
}

/** Encodes a program. Throws RangeError for a label that is missing or there twice, and for an offset too large. */
export function assemble(lines: readonly Line[]): Uint8Array {
  const program = resolve(lines)
  const bytes = new Uint8Array(program.length * INSTRUCTION_BYTES)
  const view = new DataView(bytes.buffer)
  for (const [index, { instruction, jump }] of program.entries()) {
    const { code, destination, source = 'r0', offset = 0, immediate = 0 } = instruction
    const at = index * INSTRUCTION_BYTES
    view.setUint8(at, code)
    view.setUint8(at + 1, numberOf(destination) | (numberOf(source) << 4))
    view.setInt16(at + 2, checkOffset(jump ?? offset), true)
    view.setInt32(at + 4, immediate, true)
  }
  return bytes
}

/** Prints a program as the kernel's verifier would, with the names of the fields. Throws as assemble() does. */
export function disassemble(lines: readonly Line[]): string {
  const bytes = assemble(lines)
  const texts = resolve(lines).map(({ instruction, jump }, index) => {
    const code = bytes[index * INSTRUCTION_BYTES]?.toString(16).padStart(2, '0')
    const text = `${index}: (${code}) ${instruction.text(signed(jump ?? 0))}`
    return instruction.comment === undefined ? text : `${text.padEnd(48)}; ${instruction.comment}`
  })
  return `${texts.join('\n')}\n`
}

interface Resolved {
  readonly instruction: Instruction
  /** Instructions between a jump's successor and its target; undefined where nothing jumps. */
  readonly jump: number | undefined
}

function resolve(lines: readonly Line[]): readonly Resolved[] {
  const instructions: Instruction[] = []
  const labels = new Map<string, number>()
  for (const line of lines) {
    if (typeof line !== 'string') instructions.push(line)
    else if (labels.has(line)) throw new RangeError(`The label ${line} is there twice`)
    else labels.set(line, instructions.length)
  }
  return instructions.map((instruction, index) => {
    if (instruction.target === undefined) return { instruction, jump: undefined }
    const target = labels.get(instruction.target)
    if (target === undefined) throw new RangeError(`There is no label ${instruction.target}`)
    return { instruction, jump: target - index - 1 }
  })
}

function checkOffset(offset: number): number {
  if (Number.isInteger(offset) && offset >= -0x8000 && offset <= 0x7fff) return offset
  throw new RangeError(`The offset ${offset} does not fit into an instruction`)
}

function numberOf(register: Register): number {
  return Number(register.slice(1))
}

function signed(value: number): string {
  return value < 0 ? `${value}` : `+${value}`
}
