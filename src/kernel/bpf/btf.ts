// BTF, the kernel's own description of its types (Documentation/bpf/btf.rst): bytes -> where a field lies in a
// structure and the number of a function. Pure, and safe with any bytes: each look-up takes time in proportion to their
// length.

import { DecodeError } from '../../observation.ts'

/** Look-ups in one BTF file. Each throws DecodeError where the bytes contradict themselves. */
export interface Btf {
  /**
   * Returns the offset of a field in bytes, members of anonymous structures included. Returns undefined where the
   * kernel has no such structure or field, or where the field is one of bits.
   */
  fieldOffset(structure: string, field: string): number | undefined
  /** Returns the type id of a function, or undefined where the kernel has none of that name. */
  functionId(name: string): number | undefined
}

const MAGIC = 0xeb9f
const HEADER_BYTES = 24
const TYPE_BYTES = 12
const MEMBER_BYTES = 12
const KIND = { struct: 4, union: 5, func: 12 } as const
/**
 * Bytes after the common part of a type, by kind (include/uapi/linux/btf.h): a fixed number, and some for each element.
 */
const TAIL: readonly (readonly [fixed: number, each: number] | undefined)[] = [
  undefined, // void has no entry
  [4, 0], // int
  [0, 0], // pointer
  [12, 0], // array
  [0, MEMBER_BYTES], // struct
  [0, MEMBER_BYTES], // union
  [0, 8], // enum
  [0, 0], // forward
  [0, 0], // typedef
  [0, 0], // volatile
  [0, 0], // const
  [0, 0], // restrict
  [0, 0], // func
  [0, 8], // func proto
  [4, 0], // var
  [0, 12], // data section
  [0, 0], // float
  [4, 0], // declaration tag
  [0, 0], // type tag
  [0, 12], // enum64
]

/** Opens BTF. Throws DecodeError where the bytes are none, or of a machine with another byte order. */
export function parseBtf(bytes: Uint8Array): Btf {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const { types, strings } = parseHeader(view)
  const starts = findTypes(view, types)

  function kindOf(at: number): number {
    return (view.getUint32(at + 4, true) >>> 24) & 31
  }

  function isNamed(at: number, name: string): boolean {
    const start = strings.start + view.getUint32(at, true)
    if (start + name.length >= strings.end) return false
    for (let i = 0; i < name.length; i++) {
      if (bytes[start + i] !== name.charCodeAt(i)) return false
    }
    return bytes[start + name.length] === 0
  }

  function findNamed(kind: number, name: string): number | undefined {
    const index = starts.findIndex((at) => kindOf(at) === kind && isNamed(at, name))
    return index === -1 ? undefined : index
  }

  function isAggregate(at: number): boolean {
    return kindOf(at) === KIND.struct || kindOf(at) === KIND.union
  }

  function findField(structure: number, field: string): number | undefined {
    const left = [{ id: structure, base: 0 }]
    // What was searched in vain need not be searched again, as hostile bytes would have it.
    const seen = new Uint8Array(starts.length + 1)
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const { id, base } = next
      const at = starts[id - 1]
      if (at === undefined) throw new DecodeError(`BTF has no type ${id}`, types.start)
      if (!isAggregate(at) || seen[id] === 1) continue
      seen[id] = 1
      for (const { member, bits, isWhole, type } of members(at)) {
        if (isNamed(member, field)) return isWhole ? base + bits / 8 : undefined
        if (isWhole && isNamed(member, '')) left.push({ id: type, base: base + bits / 8 })
      }
    }
    return undefined
  }

  function* members(at: number) {
    const info = view.getUint32(at + 4, true)
    const hasBitFields = info >>> 31 === 1
    for (let index = 0; index < (info & 0xffff); index++) {
      const member = at + TYPE_BYTES + index * MEMBER_BYTES
      const place = view.getUint32(member + 8, true)
      const bits = hasBitFields ? place & 0xff_ffff : place
      const isWhole = bits % 8 === 0 && !(hasBitFields && place >>> 24 > 0)
      yield { member, bits, isWhole, type: view.getUint32(member + 4, true) }
    }
  }

  return {
    fieldOffset(structure, field) {
      const index = findNamed(KIND.struct, structure)
      return index === undefined ? undefined : findField(index + 1, field)
    },
    functionId(name) {
      const index = findNamed(KIND.func, name)
      return index === undefined ? undefined : index + 1
    },
  }
}

interface Section {
  readonly start: number
  readonly end: number
}

function parseHeader(view: DataView): { readonly types: Section; readonly strings: Section } {
  if (view.byteLength < HEADER_BYTES) throw new DecodeError('BTF ends in its header', 0)
  if (view.getUint16(0, true) !== MAGIC) throw new DecodeError('This is no little-endian BTF', 0)
  const headerBytes = view.getUint32(4, true)
  const section = (at: number): Section => {
    const start = headerBytes + view.getUint32(at, true)
    const end = start + view.getUint32(at + 4, true)
    if (headerBytes < HEADER_BYTES || end > view.byteLength) {
      throw new DecodeError('A section of BTF lies outside of it', at)
    }
    return { start, end }
  }
  return { types: section(8), strings: section(16) }
}

/** Lists where each type begins; type ids count from 1. */
function findTypes(view: DataView, { start, end }: Section): Uint32Array {
  const starts = new Uint32Array(Math.floor((end - start) / TYPE_BYTES))
  let count = 0
  let at = start
  while (at < end) {
    if (at + TYPE_BYTES > end) throw new DecodeError('A type of BTF is cut', at)
    const info = view.getUint32(at + 4, true)
    const tail = TAIL[(info >>> 24) & 31]
    if (tail === undefined) throw new DecodeError('BTF has a kind that is not known', at)
    starts[count++] = at
    at += TYPE_BYTES + tail[0] + tail[1] * (info & 0xffff)
  }
  if (at > end) throw new DecodeError('The last type of BTF is cut', end)
  return starts.subarray(0, count)
}
