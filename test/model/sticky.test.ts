import { expect, test } from 'vitest'
import { keepMembers } from '../../src/model/sticky.ts'

test('keepMembers() drops a member that was outside for three samples in a row', () => {
  let members: readonly { readonly name: string; readonly outside: number }[] = [
    { name: 'a', outside: 0 },
    { name: 'b', outside: 0 },
  ]
  const look = (...inside: readonly string[]) => {
    members = keepMembers(members, ({ name }) => inside.includes(name))
    return members.map(({ name, outside }) => `${name}${outside}`)
  }
  expect(look('a')).toEqual(['a0', 'b1'])
  expect(look('a')).toEqual(['a0', 'b2'])
  // One sample inside, and it begins anew.
  expect(look('b')).toEqual(['a1', 'b0'])
  expect([look(), look()]).toEqual([['a2', 'b1'], ['b2']])
  expect(look()).toEqual([])
})
