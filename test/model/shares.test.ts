import { describe, expect, test } from 'vitest'
import { keepLeader, shareByName } from '../../src/model/shares.ts'

describe('keepLeader()', () => {
  const counts = (a: number, b: number) => [['a', a] as const, ['b', b] as const]

  test.each([
    [45, 55, undefined, 'b'],
    [50, 50, undefined, 'a'],
    [45, 55, 'a', 'a'],
    [44, 56, 'a', 'b'],
    [0, 5, 'a', 'b'],
    [0, 0, 'a', undefined],
  ])('of %i and %i after %s names %s', (a, b, before, leader) => {
    expect(keepLeader(counts(a, b), before, 100)).toBe(leader)
  })
})

test('shareByName() sums what has one name and one kind, most ports first', () => {
  const pod = { owner: 'shop/cart', ownerKind: 'pod' } as const
  const container = { owner: 'shop/cart', ownerKind: 'container' } as const
  const other = { owner: 'shop/accounts', ownerKind: 'pod' } as const
  expect(
    shareByName([
      [pod, 2],
      [container, 4],
      [undefined, 1],
      [pod, 3],
      [other, 4],
    ]),
  ).toEqual([
    { ...pod, ports: 5 },
    { ...other, ports: 4 },
    { ...container, ports: 4 },
    { owner: 'unknown', ownerKind: 'unknown', ports: 1 },
  ])
})
