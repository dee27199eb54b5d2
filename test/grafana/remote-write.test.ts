// The bytes of remote write, read back by a decoder that knows nothing of the encoder.

import { expect, test } from 'vitest'
import {
  type BackfillSeries,
  createEncoder,
  encodeVarint,
} from '../support/prometheus/prometheus-remote-write.ts'

const steps = { startSeconds: 1_750_000_000, stepSeconds: 60, count: 4 }

interface Field {
  readonly number: number
  readonly value: Buffer | number
}

function readVarint(bytes: Buffer, at: number): { readonly value: number; readonly next: number } {
  let value = 0
  let scale = 1
  for (let next = at; ; next++) {
    const byte = bytes.readUInt8(next)
    value += (byte & 0x7f) * scale
    scale *= 0x80
    if (byte < 0x80) return { value, next: next + 1 }
  }
}

/** Of one protobuf message: varints, 64-bit floats and length-delimited fields. */
function readFields(bytes: Buffer): readonly Field[] {
  const fields: Field[] = []
  let at = 0
  while (at < bytes.length) {
    const tag = readVarint(bytes, at)
    const [number, type] = [tag.value >> 3, tag.value & 7]
    if (type === 1) {
      fields.push({ number, value: bytes.readDoubleLE(tag.next) })
      at = tag.next + 8
      continue
    }
    const { value, next } = readVarint(bytes, tag.next)
    if (type !== 2) fields.push({ number, value })
    else fields.push({ number, value: bytes.subarray(next, next + value) })
    at = type === 2 ? next + value : next
  }
  return fields
}

/** Of one literal: the length of all, a tag with the length of the literal, the literal. */
function readSnappy(body: Uint8Array): Buffer {
  const bytes = Buffer.from(body)
  const { value: length, next } = readVarint(bytes, 0)
  expect(bytes.readUInt8(next)).toBe(0b1111_1100)
  expect(bytes.readUInt32LE(next + 1) + 1).toBe(length)
  const literal = bytes.subarray(next + 5)
  expect(literal.length).toBe(length)
  return literal
}

function decode(body: Uint8Array) {
  return readFields(readSnappy(body)).map(({ value: series }) => {
    const fields = readFields(series as Buffer).map(({ number, value }) => ({
      number,
      parts: readFields(value as Buffer).map((part) => part.value),
    }))
    return {
      labels: fields.filter(({ number }) => number === 1).map(({ parts }) => parts.map(String)),
      samples: fields.filter(({ number }) => number === 2).map(({ parts }) => parts),
    }
  })
}

test('createEncoder() writes labels in order and every sample that there is, gaps left out', () => {
  const encoder = createEncoder(steps)
  const values: readonly (number | undefined)[] = [0.25, undefined, 28_232, 0]
  const series: BackfillSeries = {
    labels: { pool: 'udp', __name__: 'x', netns: 'pod/a/b' },
    valueAt: (step) => values[step],
  }
  expect(encoder.add(series)).toBe(3)
  expect(encoder.add({ labels: { __name__: 'never' }, valueAt: () => undefined })).toBe(0)
  expect(encoder.add({ labels: { __name__: 'y' }, valueAt: (step) => step })).toBe(4)
  const body = encoder.take()
  expect(encoder.size()).toBe(0)
  expect(decode(body)).toEqual([
    {
      labels: [
        ['__name__', 'x'],
        ['netns', 'pod/a/b'],
        ['pool', 'udp'],
      ],
      samples: [
        [0.25, 1_750_000_000_000],
        [28_232, 1_750_000_120_000],
        [0, 1_750_000_180_000],
      ],
    },
    {
      labels: [['__name__', 'y']],
      samples: [0, 1, 2, 3].map((step) => [step, 1_750_000_000_000 + step * 60_000]),
    },
  ])
})

test('encodeVarint() writes seven bits a byte, the lowest first', () => {
  expect([...encodeVarint(0)]).toEqual([0])
  expect([...encodeVarint(300)]).toEqual([0xac, 0x02])
  expect(readVarint(encodeVarint(1_750_000_000_000), 0).value).toBe(1_750_000_000_000)
})
