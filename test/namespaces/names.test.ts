import { describe, expect, test } from 'vitest'
import { chooseName, createNameRegister, type NameFacts } from '../../src/namespaces/names.ts'

const facts: NameFacts = {
  special: undefined,
  podUid: undefined,
  pod: undefined,
  containerId: undefined,
  names: [],
  inode: 4_026_532_177,
  ageSeconds: 5,
  processAgeSeconds: undefined,
  kubernetes: false,
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

  test('waits half a minute for the name of a pod where it is asked for', () => {
    const unknown = { ...facts, podUid, kubernetes: true }
    expect(chooseName({ ...unknown, ageSeconds: 29.9 })).toBeUndefined()
    expect(chooseName({ ...unknown, ageSeconds: 30 })?.netns).toBe(`pod/${podUid}`)
    expect(chooseName({ ...unknown, pod })?.netns).toBe('pod/shop/cart-7d9f')
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

describe('createNameRegister()', () => {
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
