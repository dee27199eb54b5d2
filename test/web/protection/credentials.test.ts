import { compare, hashSync } from 'bcryptjs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  createCredentialCheck,
  parseBasic,
  type Verdict,
} from '../../../src/web/protection/credentials.ts'
import { cpuMsOf } from '../../support/program/cpu-time.ts'

const hashes = { open: hashSync('open sesame', 4), other: hashSync('other', 5) }
const users = new Map([
  ['alice', hashes.open],
  ['bob', hashes.other],
])

const basic = (name: string, password: string) =>
  `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`

/** A check whose comparisons are counted and take as long as the test says, on a clock of its own. */
function createCheck({ tookMs = 0, matches = compare } = {}) {
  const asked: [password: string, hash: string][] = []
  const slept: number[] = []
  let now = 0
  const check = createCredentialCheck({
    share: 0.25,
    matches: async (password, hash) => {
      asked.push([password, hash])
      now += tookMs
      return matches(password, hash)
    },
    nowMs: () => now,
    sleep: async (ms) => {
      slept.push(ms)
      now += ms
    },
  })
  const ask = (name: string, password: string, client = 'c') =>
    check({ authorization: basic(name, password), users, client })
  return { check, ask, asked, slept }
}

describe('createCredentialCheck()', () => {
  test('admits a user with the right password, and nobody else', async () => {
    const { ask } = createCheck()
    expect(await ask('alice', 'open sesame')).toBe('admitted')
    expect(await ask('alice', 'open sesam')).toBe('refused')
    expect(await ask('alice', '')).toBe('refused')
    expect(await ask('bob', 'open sesame')).toBe('refused')
    expect(await ask('carol', 'open sesame')).toBe('refused')
    expect(await ask('Alice', 'open sesame')).toBe('refused')
  })

  test.each([
    undefined,
    '',
    'Basic',
    'Basic !!!!',
    'Bearer abc',
    'Basic YWxpY2U=',
    `Basic ${Buffer.from([0x61, 0x3a, 0xff]).toString('base64')}`,
  ])('refuses %j at once and compares nothing', (authorization) => {
    const { check, asked } = createCheck()
    expect(check({ authorization, users, client: 'c' })).toBe('refused')
    expect(asked).toEqual([])
  })

  test('answers at once, and without comparing, what it has answered before', async () => {
    const { ask, asked } = createCheck()
    await ask('alice', 'open sesame')
    await ask('alice', 'wrong')
    expect(ask('alice', 'open sesame')).toBe('admitted')
    expect(ask('alice', 'wrong')).toBe('refused')
    expect(asked).toHaveLength(2)
    const askOften = () => {
      for (let i = 0; i < 1000; i++) void ask('alice', 'open sesame')
    }
    expect(cpuMsOf(askOften) / 1000).toBeLessThan(1)
  })

  test('compares again when the hash of a user changes', async () => {
    const { check, asked } = createCheck()
    const attempt = { authorization: basic('alice', 'open sesame'), users, client: 'c' }
    await check(attempt)
    const changed = new Map([['alice', hashSync('new', 4)]])
    expect(await check({ ...attempt, users: changed })).toBe('refused')
    const removed = new Map([['bob', hashes.open]])
    expect(await check({ ...attempt, users: removed })).toBe('refused')
    const renamed = { ...attempt, authorization: basic('carol', 'open sesame') }
    expect(await check({ ...renamed, users: removed })).toBe('refused')
    // A name that becomes known is not refused for what it was before, though hash and password are the same.
    expect(await check({ ...renamed, users: new Map([['carol', hashes.open]]) })).toBe('admitted')
    expect(asked).toHaveLength(5)
  })

  test('compares an unknown name like a known one, always with the same hash', async () => {
    const { check, asked } = createCheck()
    const used = async (name: string, password: string) => {
      asked.length = 0
      await check({ authorization: basic(name, password), users, client: 'c' })
      return asked.map(([, hash]) => hash)
    }
    const names = Array.from({ length: 40 }, (_, i) => `nobody${i}`)
    const first = await Promise.all(names.map(async (name) => used(name, 'a').then(() => name)))
    expect(first).toEqual(names)
    const chosen = new Set<string>()
    for (const name of names) {
      const [one] = await used(name, 'b')
      expect(await used(name, 'c')).toEqual([one])
      chosen.add(one ?? '')
    }
    expect([...chosen].sort()).toEqual([hashes.open, hashes.other].sort())
  })

  test('never mistakes one combination for another', async () => {
    const { ask } = createCheck({ matches: async (password) => password === 'b:c' })
    const part = fc.string({ maxLength: 4, unit: fc.constantFrom('a', 'b', 'c', ':', '"', ',') })
    await ask('alice', 'b:c')
    await fc.assert(
      fc.asyncProperty(part, part, async (name, password) => {
        const text = `alice${name}:${password}`
        const right = text === 'alice:b:c'
        expect(await ask(`alice${name}`, password)).toBe(right ? 'admitted' : 'refused')
      }),
    )
  })

  test('compares once for all who give the same at the same time', async () => {
    const { ask, asked } = createCheck()
    const verdicts = await Promise.all(Array.from({ length: 30 }, () => ask('bob', 'other')))
    expect(new Set(verdicts)).toEqual(new Set(['admitted']))
    expect(asked).toHaveLength(1)
  })

  test('lets few wait, and of one client fewer', async () => {
    const { ask, asked } = createCheck()
    const verdicts: (Verdict | Promise<Verdict>)[] = []
    for (const client of ['a', 'b', 'c', 'd', 'e', 'f']) {
      for (let i = 0; i < 6; i++) verdicts.push(ask('alice', `${client}${i}`, client))
    }
    const counts = { busy: 0, refused: 0, admitted: 0 }
    for (const verdict of await Promise.all(verdicts)) counts[verdict]++
    expect(counts).toEqual({ busy: 20, refused: 16, admitted: 0 })
    expect(asked).toHaveLength(16)
    expect(await ask('alice', 'open sesame', 'a')).toBe('admitted') // room again
  })

  test('gives a place to a client that has none, and takes it from one that has several', async () => {
    const { ask } = createCheck()
    const guesses: (Verdict | Promise<Verdict>)[] = []
    for (const client of ['a', 'b', 'c', 'd']) {
      for (let i = 0; i < 4; i++) guesses.push(ask('alice', `${client}${i}`, client))
    }
    const scraper = ask('alice', 'open sesame', 'scraper')
    expect(await scraper).toBe('admitted')
    const verdicts = await Promise.all(guesses)
    expect(verdicts.indexOf('busy')).toBe(15)
    expect(verdicts.filter((verdict) => verdict === 'refused')).toHaveLength(15)
  })

  test('has no place for a newcomer where every client has one', async () => {
    const { ask } = createCheck()
    const guesses = Array.from({ length: 16 }, (_, i) => ask('alice', `${i}`, `client ${i}`))
    expect(ask('alice', 'open sesame', 'scraper')).toBe('busy')
    expect(new Set(await Promise.all(guesses))).toEqual(new Set(['refused']))
  })

  test('rests after a wrong password three times as long as comparing took, and not after a right one', async () => {
    const { ask, slept } = createCheck({ tookMs: 100 })
    await ask('alice', 'wrong')
    await ask('alice', 'also wrong')
    await ask('alice', 'open sesame')
    await ask('bob', 'other')
    expect(slept).toEqual([300, 300])
  })

  test('remembers no failure to compare', async () => {
    let broken = true
    const { ask } = createCheck({
      matches: async (password, hash) => {
        if (broken) throw new Error('no thread')
        return compare(password, hash)
      },
    })
    await expect(ask('alice', 'open sesame')).rejects.toThrow('no thread')
    broken = false
    expect(await ask('alice', 'open sesame')).toBe('admitted')
  })

  test('forgets wrong passwords before it forgets right ones', async () => {
    const { ask, asked } = createCheck({ matches: async (password) => password === 'right' })
    await ask('alice', 'right')
    for (let i = 0; i < 150; i++) await ask('alice', `wrong${i}`)
    const before = asked.length
    expect(ask('alice', 'right')).toBe('admitted')
    expect(ask('alice', 'wrong149')).toBe('refused')
    expect(await ask('alice', 'wrong0')).toBe('refused')
    expect(asked).toHaveLength(before + 1)
  })
})

describe('parseBasic()', () => {
  test('takes name and password apart at the first colon', () => {
    expect(parseBasic(basic('a', 'b:c'))).toEqual({ name: 'a', password: 'b:c' })
    expect(parseBasic(basic('', ''))).toEqual({ name: '', password: '' })
    expect(parseBasic('bAsIc   YTpi  ')).toEqual({ name: 'a', password: 'b' })
    expect(parseBasic(basic('bö', 'ß €'))).toEqual({ name: 'bö', password: 'ß €' })
  })

  test('gives back what was encoded, and throws nothing whatever it is given', () => {
    const name = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes(':'))
    fc.assert(
      fc.property(name, fc.string({ unit: 'grapheme' }), (name, password) => {
        expect(parseBasic(basic(name, password))).toEqual({ name, password })
      }),
    )
    fc.assert(fc.property(fc.string(), (text) => void parseBasic(`Basic ${text}`)))
  })
})
