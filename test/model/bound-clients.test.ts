import { describe, expect, test } from 'vitest'
import { lookBound } from '../../src/model/bound-clients.ts'
import { plainSettings } from '../support/kernel/readings.ts'
import { account, connection, tcp } from './accounts.ts'

const FIRST = 40_000

/** A port by its number in the range, and the last byte of the address that its connection goes to. */
type Hold = readonly [at: number, to: number]

const even = (count: number, toOf: (at: number) => number) =>
  Array.from({ length: count }, (_, at): Hold => [2 * at, toOf(at)])
const odd = (count: number, toOf: (at: number) => number) =>
  Array.from({ length: count }, (_, at): Hold => [2 * at + 1, toOf(at)])
const inTurn = (at: number) => at % 10
const to9 = () => 9

/** Whether clients seem to bind first, where each of these ports is in doubt. */
function look(holds: readonly Hold[], size = 100): boolean {
  const range = { first: FIRST, last: FIRST + size - 1 }
  const sockets = holds.map(([at, to]) => ({
    ...connection,
    localPort: FIRST + at,
    remote: [192, 168, 1, to],
  }))
  const { census, ports } = account(tcp(...sockets), { ...plainSettings, range })
  const doubt = new Uint8Array(65_536)
  for (const [at] of holds) doubt[FIRST + at] = 1
  return lookBound({ census, ports, firstPort: range.first, lastPort: range.last, doubt })
}

describe('clients seem to bind before they connect', () => {
  test('where a quarter of the ports in doubt are not those that connect() begins with', () => {
    expect(look([...even(39, inTurn), ...odd(13, inTurn)])).toBe(true)
    expect(look([...even(40, inTurn), ...odd(12, inTurn)])).toBe(false)
  })

  test('and at least eight are', () => {
    expect(look([...even(2, inTurn), ...odd(8, inTurn)], 20)).toBe(true)
    expect(look([...even(3, inTurn), ...odd(7, inTurn)], 20)).toBe(false)
  })

  test('but not before half of the ports are in use', () => {
    expect(look([...even(25, inTurn), ...odd(25, inTurn)])).toBe(true)
    expect(look([...even(25, inTurn), ...odd(24, inTurn)])).toBe(false)
  })

  test('but not to a destination that has three quarters of the first half', () => {
    expect(look([...even(37, to9), ...odd(13, to9)])).toBe(true)
    expect(look([...even(38, to9), ...odd(13, to9)])).toBe(false)
  })

  test('nor on ports that such a destination shares', () => {
    const others = odd(13, () => 8)
    expect(look([...even(38, to9), ...others])).toBe(true)
    expect(look([...even(38, to9), ...others, ...odd(13, to9)])).toBe(false)
  })
})
