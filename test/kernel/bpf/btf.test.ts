// BTF as a kernel has it, and as whoever wants to break the reader would write it.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Btf, parseBtf } from '../../../src/kernel/bpf/btf.ts'
import { writeBucketProgram } from '../../../src/kernel/bpf/bucket-program.ts'
import { DecodeError, SourceError } from '../../../src/observation.ts'
import { cpuMsOf } from '../../support/program/cpu-time.ts'
import { type BtfType, buildBtf, KIND, programTypes } from './btf-builder.ts'

const int: BtfType = { name: 'int', kind: KIND.int, tail: 4 }
const types: readonly BtfType[] = [
  int, // 1
  { name: '', kind: KIND.pointer }, // 2
  {
    name: '', // 3
    kind: KIND.union,
    members: [
      { name: 'word', type: 1, bits: 0 },
      { name: '', type: 4, bits: 32 },
    ],
  },
  {
    name: '', // 4
    kind: KIND.struct,
    members: [{ name: 'deep', type: 1, bits: 16 }],
  },
  {
    name: 'outer', // 5
    kind: KIND.struct,
    members: [
      { name: 'first', type: 1, bits: 0 },
      { name: 'named', type: 6, bits: 32 },
      { name: '', type: 3, bits: 64 },
      { name: '', type: 1, bits: 96 },
    ],
  },
  { name: 'inner', kind: KIND.struct, members: [{ name: 'hidden', type: 1, bits: 0 }] }, // 6
  {
    name: 'flags', // 7
    kind: KIND.struct,
    bitFields: true,
    members: [
      { name: 'whole', type: 1, bits: 24 },
      { name: 'part', type: 1, bits: 32, width: 3 },
      { name: 'odd', type: 1, bits: 35 },
    ],
  },
  { name: 'outer', kind: KIND.func }, // 8
  { name: 'walk', kind: KIND.func }, // 9
]

describe('fieldOffset()', () => {
  const { fieldOffset, functionId } = parseBtf(buildBtf(types))

  test('finds fields, those of anonymous members included and those of named ones not', () => {
    const offsets = ['first', 'named', 'word', 'deep', 'hidden', 'fir', 'firsts', 'none']
    expect(offsets.map((name) => fieldOffset('outer', name))).toEqual([
      0,
      4,
      8,
      14,
      undefined,
      undefined,
      undefined,
      undefined,
    ])
    expect([fieldOffset('walk', 'first'), fieldOffset('nothing', 'first')]).toEqual([
      undefined,
      undefined,
    ])
  })

  test('has no offset for a field that is made of bits', () => {
    const offsets = ['whole', 'part', 'odd'].map((name) => fieldOffset('flags', name))
    expect(offsets).toEqual([3, undefined, undefined])
  })

  test('looks for fields in structures and unions alone', () => {
    // Its values would be members of nameless types if they were read as such.
    const values: BtfType = { name: '', kind: KIND.enum, tail: 24, elements: 3 }
    const outer = { name: 'a', kind: KIND.struct, members: [{ name: '', type: 1, bits: 0 }] }
    expect(parseBtf(buildBtf([values, outer])).fieldOffset('a', 'b')).toBeUndefined()
  })

  test('a function is found by name, and is not a structure of that name', () => {
    expect(['outer', 'walk', 'inner'].map(functionId)).toEqual([8, 9, undefined])
  })

  test('every kind is stepped over by its own length', () => {
    // Kind, bytes of the tail with three elements (include/uapi/linux/btf.h).
    const kinds = [
      [1, 4],
      [2, 0],
      [3, 12],
      [4, 36],
      [5, 36],
      [6, 24],
      [7, 0],
      [8, 0],
      [9, 0],
      [10, 0],
      [11, 0],
      [12, 0],
      [13, 24],
      [14, 4],
      [15, 36],
      [16, 0],
      [17, 4],
      [18, 0],
      [19, 36],
    ] as const
    for (const [kind, tail] of kinds) {
      const before: BtfType = { name: 'before', kind, tail, elements: 3 }
      const btf = parseBtf(buildBtf([before, { name: 'after', kind: KIND.func }]))
      expect(btf.functionId('after'), `kind ${kind}`).toBe(2)
    }
  })
})

describe('parseBtf() refuses', () => {
  const good = buildBtf(types)
  const refused: readonly (readonly [what: string, bytes: Uint8Array, message: RegExp])[] = [
    ['nothing', new Uint8Array(0), /ends in its header/],
    ['another byte order', buildBtf(types, { magic: 0x9feb }), /no little-endian BTF/],
    ['a header that is too short', buildBtf(types, { headerBytes: 24 }).fill(8, 4, 5), /outside/],
    ['a file that is cut', good.subarray(0, good.length - 1), /outside/],
    ['a kind that is unknown', buildBtf([{ name: 'new', kind: 20 }]), /a kind that is not known/],
    ['members that are missing', buildBtf([{ name: 'a', kind: 4, elements: 1 }]), /is cut/],
    ['a tail without a type', buildBtf([{ name: 'a', kind: 2, tail: 4 }]), /A type of BTF is cut/],
  ]
  test.for(refused)('%s', ([, bytes, message]) => {
    expect(() => parseBtf(bytes)).toThrow(DecodeError)
    expect(() => parseBtf(bytes)).toThrow(message)
  })

  test('an anonymous member of a type that is not there', () => {
    const { fieldOffset } = parseBtf(
      buildBtf([{ name: 'a', kind: KIND.struct, members: [{ name: '', type: 7, bits: 0 }] }]),
    )
    expect(() => fieldOffset('a', 'b')).toThrow(DecodeError)
    expect(() => fieldOffset('a', 'b')).toThrow('BTF has no type 7')
  })
})

/** Everything that may be asked; an error other than DecodeError passes. */
function askAll(bytes: Uint8Array): readonly (number | undefined)[] | DecodeError {
  try {
    const btf: Btf = parseBtf(bytes)
    const names = ['outer', 'flags', 'inner', 'deep', 'odd', '']
    return [
      ...names.flatMap((structure) => names.map((name) => btf.fieldOffset(structure, name))),
      ...names.map((name) => btf.functionId(name)),
    ]
  } catch (error) {
    if (error instanceof DecodeError) return error
    throw error
  }
}

describe('hostile bytes', () => {
  test('any bytes end in an answer or a DecodeError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(askAll(bytes)).toBeInstanceOf(DecodeError)
      }),
    )
  })

  test('so does BTF with some bytes changed, and what it answers lies within the file', () => {
    const good = buildBtf(types)
    const changes = fc.array(
      fc.tuple(fc.nat(good.length - 1), fc.oneof(fc.constantFrom(0, 1, 4, 5, 255), fc.nat(255))),
      { minLength: 1, maxLength: 8 },
    )
    fc.assert(
      fc.property(changes, (bytes) => {
        const changed = Buffer.from(good)
        for (const [at, value] of bytes) changed[at] = value
        const answer = askAll(changed)
        if (answer instanceof DecodeError) return
        for (const number of answer) {
          if (number !== undefined) expect(Number.isSafeInteger(number)).toBe(true)
        }
      }),
      { numRuns: 2_000 },
    )
  })

  test('structures that contain each other without end are searched once each', () => {
    const every = Array.from({ length: 300 }, (_, index) => ({
      name: '',
      type: index + 1,
      bits: 0,
    }))
    const circle: BtfType[] = every.map((_, index) => ({
      name: index === 0 ? 'outer' : '',
      kind: index % 2 === 0 ? KIND.struct : KIND.union,
      members: every,
    }))
    const search = () => parseBtf(buildBtf(circle)).fieldOffset('outer', 'none')
    expect(cpuMsOf(() => expect(search()).toBeUndefined())).toBeLessThan(5_000)
  })

  test('structures nested a hundred thousand deep are no stack overflow', () => {
    const chain: BtfType[] = Array.from({ length: 100_000 }, (_, index) => ({
      name: index === 0 ? 'outer' : '',
      kind: KIND.struct,
      members: [{ name: index === 99_999 ? 'bottom' : '', type: index + 2, bits: 8 }],
    }))
    expect(parseBtf(buildBtf(chain)).fieldOffset('outer', 'bottom')).toBe(100_000)
  })
})

describe('writeBucketProgram()', () => {
  test('names what the kernel lacks', () => {
    const write = (list: readonly BtfType[]) => () => writeBucketProgram(buildBtf(list))
    expect(write(types)).toThrow(SourceError)
    expect(write(types)).toThrow('Cannot read bind buckets: the kernel has no bpf_iter_tcp()')
    const iterator = { name: 'bpf_iter_tcp', kind: KIND.func }
    expect(write([iterator, ...types])).toThrow('the kernel has no tcp_sock.inet_conn')
  })

  test('takes a field that lies so far that no instruction reaches it for none', () => {
    const write = (bytes: number) => () =>
      writeBucketProgram(
        buildBtf(
          programTypes.map((type) =>
            type.name === 'sock_common'
              ? { ...type, members: [{ name: 'skc_num', type: 1, bits: 8 * bytes }] }
              : type,
          ),
        ),
      )
    expect(write(0x3fff)).not.toThrow()
    expect(write(0x4000)).toThrow(
      new SourceError(
        'unsupported',
        'Cannot read bind buckets: the kernel has no sock_common.skc_num',
      ),
    )
  })
})
