import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { emptyHeadroom, judgeSearch, PORT } from '../../../src/model/nat/search.ts'
import { createUniform } from '../../support/program/random.ts'

/** The search as nf_nat_core.c writes it, port by port. `random` gives 16 bits, `toss` says whether a sequence is ahead. */
function search(ports: Uint8Array, random: () => number, toss: () => boolean): boolean {
  const size = ports.length
  let attempts = Math.min(size, 128)
  for (;;) {
    let offset = random()
    for (let i = 0; i < attempts; i++, offset++) {
      const port = ports[offset % size]
      if (port === PORT.free) return true
      if (port === PORT.soft && attempts - i <= 32 && toss()) return true
    }
    if (attempts >= size || attempts < 16) return false
    attempts = Math.floor(attempts / 2)
  }
}

function failedShare(ports: Uint8Array, seed: number, searches = 4000): number {
  const random = createUniform(seed)
  let failed = 0
  for (let i = 0; i < searches; i++) {
    if (
      !search(
        ports,
        () => Math.floor(random() * 65536),
        () => random() < 0.5,
      )
    )
      failed++
  }
  return failed / searches
}

function spread(size: number, { hard = 0, soft = 0, seed = 7 }): Uint8Array {
  const random = createUniform(seed)
  const ports = new Uint8Array(size)
  const places = Array.from({ length: size }, (_, index) => ({ index, at: random() }))
  places.sort((left, right) => left.at - right.at)
  places.forEach(({ index }, rank) => {
    if (rank < hard) ports[index] = PORT.hard
    else if (rank < hard + soft) ports[index] = PORT.soft
  })
  return ports
}

function block(size: number, first: number, count: number): Uint8Array {
  return new Uint8Array(size).fill(PORT.hard, first, first + count)
}

describe('judgeSearch()', () => {
  test.each([1, 2, 31, 32, 33, 100, 128])(
    'a range of %d ports is searched whole: it fails when the last one is taken',
    (size) => {
      expect(judgeSearch(block(size, 0, size - 1))).toEqual({
        failureProbability: 0,
        headroomPorts: 1,
      })
      expect(judgeSearch(block(size, 0, size))).toEqual({ failureProbability: 1, headroomPorts: 0 })
    },
  )

  test.each([129, 1000, 64_512])(
    'an empty range of %d ports never fails, a full one does',
    (size) => {
      const empty = judgeSearch(new Uint8Array(size))
      expect(empty.failureProbability).toBe(0)
      expect(empty.headroomPorts).toBeGreaterThan(size * 0.99)
      expect(Math.abs(empty.headroomPorts - emptyHeadroom(size))).toBeLessThan(size * 0.002)
      expect(judgeSearch(block(size, 0, size)).failureProbability).toBeCloseTo(1, 12)
      expect(judgeSearch(block(size, 0, size)).headroomPorts).toBe(0)
    },
  )

  test('a range without ports has none to give', () => {
    expect(judgeSearch(new Uint8Array(0))).toEqual({ failureProbability: 1, headroomPorts: 0 })
  })

  test.each([
    ['spread, 990 of 1,000', spread(1000, { hard: 990 })],
    ['spread, 998 of 1,000', spread(1000, { hard: 998 })],
    ['one block of 800 in 1,000', block(1000, 100, 800)],
    ['one block that wraps', block(1000, 500, 500).fill(PORT.hard, 0, 350)],
    ['199 of 200', block(200, 0, 199)],
    ['spread, 64,190 of 64,512', spread(64_512, { hard: 64_190 })],
    ['closing ones, 40 of 1,000, the rest taken', spread(1000, { hard: 960, soft: 40 })],
    ['closing ones, 5 of 1,000, the rest taken', spread(1000, { hard: 995, soft: 5 })],
    ['closing ones, 3 of 100, the rest taken', spread(100, { hard: 97, soft: 3 })],
    ['closing ones and free ones', spread(2000, { hard: 1950, soft: 40 })],
  ])('agrees with the search played out: %s', (_name, ports) => {
    const { failureProbability } = judgeSearch(ports)
    // Three standard errors of the share, and a little for those that are 0 or 1.
    const error = 3 * Math.sqrt((failureProbability * (1 - failureProbability)) / 4000) + 0.002
    expect(Math.abs(failedShare(ports, 99) - failureProbability)).toBeLessThan(error)
  })

  test('half of the searches fail once the headroom has been taken at random', () => {
    for (const ports of [spread(64_512, { hard: 40_000 }), block(20_000, 3000, 9000)]) {
      const { headroomPorts } = judgeSearch(ports)
      const random = createUniform(3)
      const free = [...ports.keys()].filter((index) => ports[index] === PORT.free)
      for (let taken = 0; taken < headroomPorts; taken++) {
        const [index = 0] = free.splice(Math.floor(random() * free.length), 1)
        ports[index] = PORT.hard
      }
      expect(judgeSearch(ports).failureProbability).toBeGreaterThan(0.4)
      expect(judgeSearch(ports).failureProbability).toBeLessThan(0.6)
    }
  })

  test('a port more is never good news, whatever the ports', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(0, 1, 1, 1, 2), { minLength: 1, maxLength: 400 }),
        fc.nat(),
        (list, at) => {
          const ports = Uint8Array.from(list)
          const before = judgeSearch(ports)
          ports[at % ports.length] = PORT.hard
          const after = judgeSearch(ports)
          expect(after.failureProbability).toBeGreaterThanOrEqual(before.failureProbability - 1e-9)
          expect(after.headroomPorts).toBeLessThanOrEqual(before.headroomPorts + 1)
          expect(after.failureProbability).toBeLessThanOrEqual(1 + 1e-9)
        },
      ),
    )
  })
})
