import { describe, expect, test } from 'vitest'
import {
  chooseName,
  createNameRegister,
  isNamedByUid,
  type NameFacts,
} from '../../src/namespaces/names.ts'

const facts: NameFacts = {
  special: undefined,
  podUid: undefined,
  pod: undefined,
  containerId: undefined,
  names: [],
  inode: 4_026_532_177,
  ageSeconds: 5,
  processAgeSeconds: undefined,
  podNames: 'never',
}
const podUid = '11111111-2222-3333-4444-555555555555'
const pod = { namespace: 'shop', name: 'cart-7d9f' }
const containerId = 'c0ffee'.padEnd(64, '0')
const cniName = 'cni-0a1b2c3d-1111-2222-3333-444455556666'

describe('chooseName()', () => {
  test.each<[string, Partial<NameFacts>, string]>([
    ['the initial namespace', { special: 'host', names: ['x'] }, 'host'],
    ['our own', { special: 'self', podUid }, 'self'],
    ['a pod', { podUid, pod, containerId, names: [cniName] }, 'pod/shop/cart-7d9f'],
    ['a pod nobody knows the name of', { podUid, containerId }, `pod/${podUid}`],
    ['a container', { containerId, names: ['blue'] }, 'container/c0ffee000000'],
    ['one of iproute2', { names: ['blue', 'green'] }, 'named/blue'],
    ['any other', {}, 'inode/4026532177'],
  ])('calls %s by what people call it', (_what, part, netns) => {
    expect(chooseName({ ...facts, ...part })).toEqual({ netns, netnsKind: netns.split('/')[0] })
  })

  test.each<[NameFacts['podNames'], number]>([
    ['likely', 30],
    ['doubtful', 1],
  ])('waits for the name of a pod that is %s to come for %i s', (podNames, seconds) => {
    const unknown = { ...facts, podUid, podNames }
    expect(chooseName({ ...unknown, ageSeconds: seconds - 0.1 })).toBeUndefined()
    expect(chooseName({ ...unknown, ageSeconds: seconds })?.netns).toBe(`pod/${podUid}`)
    expect(chooseName({ ...unknown, pod, ageSeconds: 0 })?.netns).toBe('pod/shop/cart-7d9f')
  })

  test('does not wait for the name of a pod where nobody is asked', () => {
    expect(chooseName({ ...facts, podUid, ageSeconds: 0 })?.netns).toBe(`pod/${podUid}`)
  })

  test.each([cniName, cniName.slice(4), cniName.replace('cni', 'netns')])(
    'waits for the process of a runtime that made %s',
    (name) => {
      expect(chooseName({ ...facts, names: [name] })).toBeUndefined()
      expect(chooseName({ ...facts, names: [name], ageSeconds: 30 })?.netns).toBe(`named/${name}`)
    },
  )

  test('does not name a namespace by its inode before a runtime had time to move its process', () => {
    expect(chooseName({ ...facts, ageSeconds: 0, processAgeSeconds: 0.5 })).toBeUndefined()
    expect(chooseName({ ...facts, ageSeconds: 0, processAgeSeconds: 60 })?.netns).toMatch(/^inode/)
    expect(chooseName({ ...facts, ageSeconds: 1 })?.netns).toMatch(/^inode/)
  })
})

describe('isNamedByUid()', () => {
  test.each<[string, boolean]>([
    [`pod/${podUid}`, true],
    [`pod/${podUid}~2`, true],
    ['pod/shop/cart-7d9f', false],
    [`pod/${podUid}/cart-7d9f`, false],
    ['container/c0ffee000000', false],
  ])('says of %s: %s', (netns, expected) => {
    expect(isNamedByUid({ netns, netnsKind: 'pod' }, podUid)).toBe(expected)
  })
})

describe('createNameRegister()', () => {
  test('gives a name that was let go to the next', () => {
    const register = createNameRegister()
    register.give(1, 'pod/a/b')
    register.take('pod/a/b')
    expect(register.give(2, 'pod/a/b')).toBe('pod/a/b')
  })

  test('never gives a name to two, and lets it go with its holder', () => {
    const register = createNameRegister()
    expect([1, 2, 3].map((id) => register.give(id, 'pod/a/b'))).toEqual([
      'pod/a/b',
      'pod/a/b~2',
      'pod/a/b~3',
    ])
    register.retain(
      new Map([
        [2, 0],
        [3, 0],
      ]),
    )
    expect(register.give(4, 'pod/a/b')).toBe('pod/a/b')
    expect(register.give(5, 'pod/a/b')).toBe('pod/a/b~4')
  })
})
