import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { renderIpv4 } from '../../../src/model/addresses.ts'
import { renderClients } from '../../../src/model/nat/clients.ts'
import { createNumberTable } from '../../../src/model/owners/ids.ts'
import { addressOf } from './conntrack.ts'

type Counts = readonly (readonly [address: string, ports: number])[]

/** Rows as `address ports`, and how many clients have none. */
function render(
  counts: Counts,
  { top = 2, leastPorts = 8, before = [] as readonly string[] } = {},
): readonly [rows: readonly string[], hidden: number] {
  const clients = createNumberTable()
  for (const [address] of counts) clients.index(addressOf(address))
  const { rows, hidden } = renderClients(
    'tcp',
    Uint32Array.from(counts, ([, ports]) => ports),
    {
      ...{ clients, top, leastPorts, before: new Set(before), nameClient: () => undefined },
    },
  )
  return [rows.map(({ client, usedPorts }) => `${client} ${usedPorts}`), hidden]
}

describe('the clients of a NAT', () => {
  test('have rows where they are among the first and hold enough', () => {
    expect(render([['10.0.0.1', 8]])).toEqual([['10.0.0.1 8'], 0])
    expect(render([['10.0.0.1', 7]])).toEqual([['other 7'], 1])
    const three: Counts = [
      ['10.0.0.1', 20],
      ['10.0.0.2', 40],
      ['10.0.0.3', 30],
    ]
    expect(render(three)).toEqual([['10.0.0.2 40', '10.0.0.3 30', 'other 20'], 1])
  })

  test('keep their row among the first two times as many, however few ports they hold', () => {
    const counts: Counts = [
      ['10.0.0.1', 3],
      ['10.0.0.2', 2],
      ['10.0.0.3', 30],
    ]
    const before = ['10.0.0.1', '10.0.0.2']
    expect(render(counts, { top: 1, before })).toEqual([
      ['10.0.0.3 30', '10.0.0.1 3', 'other 2'],
      1,
    ])
  })

  test('are the same whatever the order, by address where they hold as many', () => {
    const counts = fc.uniqueArray(fc.tuple(fc.nat(60), fc.nat(4)), {
      selector: ([address]) => address,
      maxLength: 12,
    })
    fc.assert(
      fc.property(counts, fc.integer({ min: 1, max: 3 }), (given, top) => {
        const ranked = given
          .filter(([, ports]) => ports > 0)
          .toSorted(([a, some], [b, others]) => others - some || a - b)
        const others = ranked.slice(top)
        const sum = others.reduce((total, [, ports]) => total + ports, 0)
        const named = given.map(([address, ports]) => [renderIpv4(address), ports] as const)
        expect(render(named, { top, leastPorts: 1 })).toEqual([
          [
            ...ranked.slice(0, top).map(([address, ports]) => `${renderIpv4(address)} ${ports}`),
            ...(sum > 0 ? [`other ${sum}`] : []),
          ],
          others.length,
        ])
      }),
    )
  })
})
