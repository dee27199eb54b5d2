// BTF built from a list of types, as the kernel's build writes it: the counterpart of src/kernel/bpf/btf.ts.

export interface BtfMember {
  readonly name: string
  readonly type: number
  readonly bits: number
  /** Given for a field of bits. */
  readonly width?: number
}

export interface BtfType {
  readonly name: string
  readonly kind: number
  readonly members?: readonly BtfMember[]
  /** Whatever follows the common part of a type that has no members. */
  readonly tail?: number
  /** Number of elements in that tail. */
  readonly elements?: number
  /** Whether offsets of members share their word with the width of a field of bits. */
  readonly bitFields?: boolean
}

export const KIND = { int: 1, pointer: 2, struct: 4, union: 5, enum: 6, func: 12 } as const

export interface BtfParts {
  readonly magic?: number
  readonly headerBytes?: number
}

export function buildBtf(types: readonly BtfType[], parts: BtfParts = {}): Buffer {
  const { magic = 0xeb9f, headerBytes = 24 } = parts
  const strings: Buffer[] = [Buffer.of(0)]
  let stringBytes = 1
  const place = (name: string): number => {
    if (name === '') return 0
    const at = stringBytes
    strings.push(Buffer.from(`${name}\0`, 'latin1'))
    stringBytes += name.length + 1
    return at
  }
  const words = (...values: number[]): Buffer => {
    const bytes = Buffer.alloc(values.length * 4)
    for (const [index, value] of values.entries()) bytes.writeUInt32LE(value >>> 0, index * 4)
    return bytes
  }
  const body = types.flatMap((type) => {
    const { members = [], bitFields = false } = type
    const count = type.elements ?? members.length
    const info = (bitFields ? 0x8000_0000 : 0) + (type.kind << 24) + count
    return [
      words(place(type.name), info, 0),
      ...members.map(({ name, type: id, bits, width = 0 }) =>
        words(place(name), id, bits + (width << 24)),
      ),
      Buffer.alloc(type.tail ?? 0),
    ]
  })
  const typeBytes = body.reduce((sum, { length }) => sum + length, 0)
  const header = Buffer.alloc(headerBytes)
  header.writeUInt16LE(magic, 0)
  header.writeUInt8(1, 2)
  const rest = words(headerBytes, 0, typeBytes, typeBytes, stringBytes)
  rest.copy(header, 4)
  return Buffer.concat([header, ...body, ...strings])
}

/** A kernel with all that the program needs; each field lies at an offset of its own. */
export const programTypes: readonly BtfType[] = [
  { name: 'word', kind: KIND.int, tail: 4 },
  { name: 'bpf_iter_tcp', kind: KIND.func },
  ...Object.entries({
    bpf_iter__tcp: ['meta', 'sk_common'],
    bpf_iter_meta: ['seq'],
    sock_common: ['skc_num'],
    tcp_sock: ['inet_conn'],
    inet_connection_sock: ['icsk_bind_hash'],
    tcp_timewait_sock: ['tw_sk'],
    inet_timewait_sock: ['tw_tb'],
    inet_bind_bucket: ['l3mdev', 'port', 'fastreuse', 'fastreuseport'],
  }).map(([name, fields], at) => ({
    name,
    kind: KIND.struct,
    members: fields.map((field, index) => ({ name: field, type: 1, bits: 64 * (at + index) })),
  })),
]
