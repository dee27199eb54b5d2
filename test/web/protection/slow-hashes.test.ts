import { describe, expect, test } from 'vitest'
import { createCredentialCheck } from '../../../src/web/protection/credentials.ts'
import { createCheckByCost, shares } from '../../../src/web/protection/slow-hashes.ts'

const hashOf = (cost: number) => `$2y$${String(cost).padStart(2, '0')}$${'a'.repeat(53)}`
const basic = (name: string, password: string) =>
  `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`

/** A check that tells which lane compared what; a slow comparison ends when the test says so. */
function createCheck(users: Readonly<Record<string, number>>) {
  const asked: string[] = []
  let endSlow = () => {}
  const slowEnds = new Promise<void>((resolve) => {
    endSlow = resolve
  })
  const check = createCheckByCost({
    usual: createCredentialCheck({
      share: shares.usual,
      sleep: async () => {},
      matches: async (password, hash) => {
        asked.push(`usual ${hash.slice(4, 6)}`)
        return password === 'right'
      },
    }),
    slow: createCredentialCheck({
      share: shares.slow,
      matches: async (password, hash) => {
        asked.push(`slow ${hash.slice(4, 6)}`)
        await slowEnds
        return password === 'right'
      },
    }),
  })
  const hashes = new Map(Object.entries(users).map(([name, cost]) => [name, hashOf(cost)]))
  const ask = (name: string, password: string) =>
    check({ authorization: basic(name, password), users: hashes, client: name })
  return { ask, asked, endSlow }
}

describe('createCheckByCost()', () => {
  test('lets nobody wait for a hash that takes long', async () => {
    const { ask, asked, endSlow } = createCheck({ usual: 10, costly: 18 })
    const late = ask('costly', 'right')
    expect(await ask('usual', 'right')).toBe('admitted')
    expect(await ask('nobody', 'right')).toBe('refused')
    expect(asked).toEqual(['slow 18', 'usual 10', 'usual 10'])
    endSlow()
    expect(await late).toBe('admitted')
    // What is known needs no comparison any more.
    expect(ask('costly', 'right')).toBe('admitted')
  })

  test('lets guesses at hashes of both kinds take a quarter of a core together', async () => {
    let usedRatio = 0
    for (const share of Object.values(shares)) {
      let [now, busy] = [0, 0]
      const check = createCredentialCheck({
        share,
        matches: async () => {
          now += 100
          busy += 100
          return false
        },
        nowMs: () => now,
        sleep: async (ms) => {
          now += ms
        },
      })
      const users = new Map([['alice', hashOf(10)]])
      const guess = (password: number) =>
        check({ authorization: basic('alice', `${password}`), users, client: 'c' })
      for (let password = 0; password < 100; password++) await guess(password)
      // The rest after the last guess is still to come.
      usedRatio += (busy - 100) / (now - 100)
    }
    expect(usedRatio).toBeCloseTo(0.25, 6)
  })

  test('compares an unknown name with what there is, and a hash that takes minutes never', async () => {
    const slow = createCheck({ costly: 18, never: 31 })
    slow.endSlow()
    expect(await slow.ask('nobody', 'right')).toBe('refused')
    expect(await slow.ask('never', 'right')).toBe('refused')
    expect(slow.asked).toEqual(['slow 18'])
    const never = createCheck({ never: 21 })
    expect(await never.ask('never', 'right')).toBe('refused')
    expect(await never.ask('nobody', 'right')).toBe('refused')
    expect(never.asked).toEqual([])
  })
})
