import { describe, expect, test } from 'vitest'
import {
  type Account,
  type Booking,
  bookFailures,
  emptyAccount,
  publishAccount,
  renderAccount,
} from '../../src/ledger/account.ts'

const booking = (destination: string | undefined, count: number, owner = 'shop'): Booking => ({
  destination,
  owner,
  count,
})

/** Pairs of earlier samples count. */
const publish = (account: Account) => publishAccount(account, { atSeconds: 1, bornBySeconds: 1 })

/** Books and publishes one sample after another. */
function bookSamples(...samples: (readonly Booking[])[]): Account {
  return samples.reduce<Account>(
    (account, bookings) => publish(bookFailures(account, bookings, 0)),
    emptyAccount,
  )
}

const rowsOf = (account: Account) =>
  renderAccount(account)?.destinations.map(
    ({ destination, owner, total }) => `${destination} ${owner} ${total}`,
  )
const totalOf = (account: Account) => renderAccount(account)?.pools[0]?.total

describe('an account', () => {
  test('has no series before it was published', () => {
    expect(renderAccount(bookFailures(emptyAccount, [booking('a:1', 3)], 0))).toBeUndefined()
  })

  test('begins at 0, whatever happened before its first sample', () => {
    const first = bookSamples([booking('a:1', 3)])
    expect(renderAccount(first)).toEqual({
      pools: [{ pool: 'tcp_connect', total: 0 }],
      destinations: [{ destination: 'a:1', owner: 'shop', total: 0 }],
    })
    expect(totalOf(publish(first))).toBe(3)
  })

  test('counts at once, and by destination one sample later for a pair that is new', () => {
    const second = bookSamples([], [booking('a:1', 3)])
    expect([totalOf(second), rowsOf(second)]).toEqual([3, ['a:1 shop 0']])
    const third = publish(bookFailures(second, [booking('a:1', 2)], 0))
    expect([totalOf(third), rowsOf(third)]).toEqual([5, ['a:1 shop 5']])
    const fourth = publish(bookFailures(third, [booking('a:1', 1)], 0))
    expect([totalOf(fourth), rowsOf(fourth)]).toEqual([6, ['a:1 shop 6']])
  })

  test('keeps the 0 of a pair until it is old enough, and counts nobody else later for that', () => {
    let account = bookSamples([booking('a:1', 3)])
    const seen = [1, 2, 3, 4].map((count, index) => {
      const atSeconds = 10 * (index + 1)
      const booked = bookFailures(account, index === 1 ? [booking('b:1', 7)] : [], 0)
      account = publishAccount(booked, { atSeconds, bornBySeconds: atSeconds - 20 })
      return [count, totalOf(account), rowsOf(account)]
    })
    expect(seen).toEqual([
      [1, 3, ['a:1 shop 0']],
      [2, 10, ['a:1 shop 0', 'b:1 shop 0']],
      [3, 10, ['a:1 shop 3', 'b:1 shop 0']],
      [4, 10, ['a:1 shop 3', 'b:1 shop 7']],
    ])
    // Once it counts it counts at once.
    const more = bookFailures(account, [booking('b:1', 1)], 0)
    expect(rowsOf(publishAccount(more, { atSeconds: 41, bornBySeconds: 21 }))).toContain(
      'b:1 shop 8',
    )
  })

  test('keeps the owners of a destination apart', () => {
    const account = bookSamples([], [booking('a:1', 3), booking('a:1', 2, 'mail')], [])
    expect(rowsOf(account)).toEqual(['a:1 shop 3', 'a:1 mail 2'])
  })

  test('names an owner that nobody knows', () => {
    const account = bookSamples([{ destination: 'a:1', owner: undefined, count: 1 }], [])
    expect(rowsOf(account)).toEqual(['a:1 unknown 1'])
  })

  test('counts what has no destination as other, other', () => {
    const account = bookSamples([booking(undefined, 9)], [])
    expect([totalOf(account), rowsOf(account)]).toEqual([9, ['other other 9']])
  })

  test('gives 50 pairs a series for its life, and counts later ones as other, other', () => {
    const many = Array.from({ length: 60 }, (_, index) => booking(`a:${index}`, 100 - index))
    const account = bookSamples([], many, [booking('a:49', 1), booking('a:55', 1)], [])
    const rows = rowsOf(account) ?? []
    expect(rows).toHaveLength(51)
    // The ones with the most failures took the room.
    expect(rows).toContain('a:0 shop 100')
    expect(rows).toContain('a:49 shop 52')
    // 50 + 49 + ... + 41, and the later one of a:55.
    expect(rows).toContain('other other 456')
    expect(totalOf(account)).toBe(100 + 99 + 98 + sumDown(97, 41) + 2)
  })

  test('keeps room for 50 pairs when other, other came first', () => {
    const many = Array.from({ length: 50 }, (_, index) => booking(`a:${index}`, 1))
    expect(rowsOf(bookSamples([booking(undefined, 9)], many, []))).toHaveLength(51)
  })

  test('publishes other, other at 0 as well before it counts', () => {
    const many = Array.from({ length: 50 }, (_, index) => booking(`a:${index}`, 1))
    const account = bookSamples(many, [booking('b:1', 5)])
    expect(rowsOf(account)).toContain('other other 0')
    expect(rowsOf(publish(account))).toContain('other other 5')
  })

  test('never goes back, whatever comes', () => {
    let account = emptyAccount
    let before = new Map<string, number>()
    for (let sample = 0; sample < 100; sample++) {
      const bookings = Array.from({ length: sample % 7 }, (_, index) =>
        booking(index === 6 ? undefined : `a:${(sample * 13 + index) % 80}`, 1 + (sample % 3)),
      )
      account = publish(bookFailures(account, bookings, 0))
      const now = new Map(
        renderAccount(account)?.destinations.map((row) => [
          `${row.destination} ${row.owner}`,
          row.total,
        ]),
      )
      for (const [key, total] of before) expect(now.get(key)).toBeGreaterThanOrEqual(total)
      for (const [key, total] of now) if (!before.has(key)) expect(total).toBe(0)
      before = now
    }
    const sum = [...before.values()].reduce((total, value) => total + value, 0)
    expect(before.size).toBe(51)
    expect(sum).toBe(totalOf(account))
  })

  test('a pair that has been silent for hours makes room for a new one, the oldest first', () => {
    const names = Array.from({ length: 50 }, (_, index) => `d:${index + 1}`)
    let account = emptyAccount
    for (const [index, name] of names.entries()) {
      account = publish(bookFailures(account, [booking(name, 1)], index))
    }
    const soon = bookFailures(account, [booking('new:1', 1)], 3 * 3600)
    expect(rowsOf(publish(soon))?.at(-1)).toBe('other other 0')
    const later = publish(bookFailures(account, [booking('new:1', 1)], 3 * 3600 + 0.5))
    expect(rowsOf(later)).toHaveLength(50)
    expect(rowsOf(later)?.[0]).toBe('d:2 shop 1')
    expect(rowsOf(later)?.at(-1)).toBe('new:1 shop 0')
    // The total of the namespace goes on.
    expect(totalOf(later)).toBe(51)
  })
})

function sumDown(from: number, to: number): number {
  return ((from + to) * (from - to + 1)) / 2
}
