import { describe, expect, test } from 'vitest'
import { judgeNatCause, type NatCause } from '../../../src/model/nat/cause.ts'
import type { OwnerName } from '../../../src/snapshot.ts'
import { type Entry, readingOf } from './conntrack.ts'
import { connect, HUNDRED, play, poolOf } from './play.ts'

describe('what holds the ports of a NAT pool', () => {
  const judge = (livePorts: number, closingPorts: number, before?: NatCause) =>
    judgeNatCause({ livePorts, closingPorts }, before, () => [])

  test('is nothing where no port is held', () => {
    expect(judge(0, 0, 'nat_churn')).toEqual({ cause: undefined, name: undefined })
  })

  test.each<[number, number, NatCause, number]>([
    [51, 49, 'nat_connections', 51],
    [49, 51, 'nat_churn', 51],
    [50, 50, 'nat_connections', 50],
    [0, 1, 'nat_churn', 1],
  ])('of %i live and %i closing ports is what holds more: %s', (live, closing, name, ports) => {
    expect(judge(live, closing)).toEqual({ name, cause: { cause: name, ports, owners: [] } })
  })

  test.each<[number, number, NatCause, NatCause, number]>([
    [45, 55, 'nat_connections', 'nat_connections', 45],
    [44, 56, 'nat_connections', 'nat_churn', 56],
    [55, 45, 'nat_churn', 'nat_churn', 45],
    [56, 44, 'nat_churn', 'nat_connections', 56],
  ])('of %i live and %i closing ports after %s is %s', (live, closing, before, name, ports) => {
    expect(judge(live, closing, before)).toMatchObject({ name, cause: { cause: name, ports } })
  })
})

describe('the clients of a NAT pool', () => {
  const names: Readonly<Record<string, OwnerName>> = {
    '10.0.1.1': { owner: 'shop/cart', ownerKind: 'pod' },
    '10.0.1.2': { owner: 'shop/cart', ownerKind: 'pod' },
    '10.0.1.3': { owner: 'shop/cart', ownerKind: 'container' },
    '10.0.1.4': { owner: 'shop/stock', ownerKind: 'pod' },
    '10.0.1.5': { owner: 'shop/accounts', ownerKind: 'pod' },
  }

  /** The owners of the worst destination, to which client 10.0.1.n has counts[n - 1] connections. */
  const ownersOf = (counts: readonly number[], others: readonly Entry[] = []) => {
    const entries = counts.flatMap((count, at) => {
      const from = 40_000 + counts.slice(0, at).reduce((sum, one) => sum + one, 0)
      return connect(count, { from }).map((one) => ({ ...one, client: `10.0.1.${at + 1}:5000` }))
    })
    const reading = readingOf([...others, ...entries], { rules: HUNDRED })
    const owners = poolOf(play([reading], {}, (address) => names[address]))?.cause?.owners
    return owners?.map(({ owner, ownerKind, ports }) => `${ownerKind} ${owner} ${ports}`)
  }

  test('are named with the ports of all addresses of a name, the most first', () => {
    expect(ownersOf([7, 9, 12, 20])).toEqual([
      'pod shop/stock 20',
      'pod shop/cart 16',
      'container shop/cart 12',
    ])
  })

  test('are at most three, and by name where they have as many ports', () => {
    expect(ownersOf([5, 5, 10, 10, 10])).toEqual([
      'pod shop/accounts 10',
      'pod shop/cart 10',
      'container shop/cart 10',
    ])
  })

  test('without a name are one', () => {
    expect(ownersOf([0, 0, 0, 11, 0, 10, 15])).toEqual(['unknown unknown 25', 'pod shop/stock 11'])
  })

  test('are those of the worst destination alone', () => {
    const others = connect(30, { answers: '198.51.100.10:443' })
    expect(ownersOf([0, 0, 0, 40], others)).toEqual(['pod shop/stock 40'])
  })
})
