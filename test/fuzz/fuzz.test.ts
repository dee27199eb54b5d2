// Some mutants of each target and the whole corpus. `npm run fuzz` has millions.

import { describe, expect, test } from 'vitest'
import { readCorpus, startCampaign, targets } from './fuzzer.ts'
import { createRandom, LONGEST_INPUT, mutate } from './mutate.ts'

/** Always the same: a run that must not fail by chance is no place to look for news. */
const seed = 1
const MUTANTS = 150

describe('refuses in its own words whatever is wrong', () => {
  test.each(targets)('$name', (target) => {
    const { next } = startCampaign(target, seed)
    const known = target.seeds().length + readCorpus(target).length
    const mutants = target.costly === true ? MUTANTS / 5 : MUTANTS
    for (let left = known + mutants; left > 0; left--) {
      const found = next()
      if (found === undefined) continue
      const input = Buffer.from(found.input).toString('base64')
      throw new Error(`Undocumented: ${input}`, { cause: found.error })
    }
  })
})

describe('startCampaign()', () => {
  test('finds what a reader gets wrong', () => {
    const [proc] = targets.filter(({ name }) => name === 'passwd')
    if (proc === undefined) throw new Error('No target')
    const wrong = {
      ...proc,
      read: (bytes: Uint8Array) => new DataView(bytes.buffer).getUint8(bytes.indexOf(0xff)),
    }
    const { next } = startCampaign(wrong, seed)
    expect(next()?.error).toBeInstanceOf(RangeError)
  })

  test('calls what takes seconds by its name', () => {
    const [target] = targets
    if (target === undefined) throw new Error('No target')
    let now = 0
    const slow = { ...target, read: () => (now += 2001) }
    expect(startCampaign(slow, seed, { nowMs: () => now }).next()?.error).toEqual(
      new Error('It took 2001 ms'),
    )
  })
})

describe('mutate()', () => {
  test('gives the same mutants for the same seed, none longer than the limit', () => {
    const series = () => {
      const random = createRandom(seed)
      const bytes = new Uint8Array(LONGEST_INPUT - 10).fill(65)
      return Array.from({ length: 100 }, () =>
        Buffer.from(mutate(bytes, bytes, random)).toString('latin1'),
      )
    }
    const first = series()
    expect(series()).toEqual(first)
    expect(new Set(first).size).toBeGreaterThan(50)
    expect(Math.max(...first.map((text) => text.length))).toBeLessThanOrEqual(LONGEST_INPUT)
  })
})
