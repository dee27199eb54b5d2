import { describe, expect, test } from 'vitest'
import { advanceParity, settleDoubt } from '../../src/model/parity.ts'
import type { NetSettings } from '../../src/observation.ts'
import type { WireSocket } from '../support/kernel/netlink-builder.ts'
import { plainSettings } from '../support/kernel/readings.ts'
import { account, connection, tcp } from './accounts.ts'

const FIRST = 40_000
const settings: NetSettings = { ...plainSettings, range: { first: FIRST, last: FIRST + 99 } }
const on = (at: number, part: Partial<WireSocket> = {}): WireSocket => ({
  ...connection,
  localPort: FIRST + at,
  ...part,
})
const even = (count: number) => Array.from({ length: count }, (_, at) => on(2 * at))
const odd = (count: number, part: Partial<WireSocket> = {}) =>
  Array.from({ length: count }, (_, at) => on(2 * at + 1, part))

describe('settleDoubt()', () => {
  /** Of connections of which nothing else is known: how many stay in doubt. */
  function countDoubt(
    sockets: readonly WireSocket[],
    { others = [] as readonly WireSocket[], changes = {} as Partial<NetSettings> } = {},
  ): number {
    const { census, ports } = account(tcp(...sockets, ...others), { ...settings, ...changes })
    const unknown = new Uint8Array(65_536)
    for (const { localPort } of sockets) unknown[localPort] = 1
    const range = { firstPort: FIRST, lastPort: FIRST + 99 }
    settleDoubt({ census, ports, ...range, mixed: new Uint16Array(0), unknown })
    return unknown.reduce((sum, one) => sum + one, 0)
  }

  test.each([
    [16, 0, 16],
    [17, 0, 0],
    [17, 1, 18],
    [20, 1, 1],
  ])(
    'of %i ports that connect() begins with and %i others leaves %i in doubt',
    (some, more, left) => {
      expect(countDoubt([...even(some), ...odd(more)])).toBe(left)
    },
  )

  test('takes the first half for no sign where hardly another port is open', () => {
    expect(countDoubt(even(20))).toBe(0)
    const reserved = odd(40).map(({ localPort }) => ({ first: localPort, last: localPort }))
    expect(countDoubt(even(20), { changes: { reserved } })).toBe(20)
    const unconnected = { remotePort: 0, remote: [0, 0, 0, 0] }
    for (const state of [7, 10]) {
      expect(countDoubt(even(20), { others: odd(40, { ...unconnected, state }) })).toBe(20)
    }
  })
})

describe('advanceParity()', () => {
  test.each<[string, number, readonly number[], Partial<NetSettings>, boolean]>([
    ['three ports, none in use', 3, [], {}, false],
    ['three ports', 3, [1], {}, true],
    ['four ports, of which two come first', 4, [1], {}, true],
    ['eight ports, of which four come first', 8, [1], {}, false],
    ['eight ports', 8, [1, 3], {}, true],
    ['reserved ports', 8, [1], { reserved: [{ first: FIRST + 3, last: FIRST + 3 }] }, true],
  ])('knows whether bind(0) finds a port of its own: %s', (_, size, used, changes, isFull) => {
    const range = { first: FIRST, last: FIRST + size - 1 }
    const all = { ...settings, ...changes, range }
    const { census, ports } = account(tcp(...used.map((at) => on(at))), all)
    expect(advanceParity(undefined, { census, ports, settings: all }).isFull).toBe(isFull)
  })
})
