import { expect, test } from 'vitest'
import { chooseShown } from '../../src/worker/crowd.ts'
import { type Identity, startWatching } from '../../src/worker/watched.ts'
import { buildNetNamespace } from '../support/netns/net-namespace.ts'

/** Namespaces in the order of their age, the oldest first. */
function watch(identities: readonly Partial<Identity>[]) {
  return identities.map((identity, at) => {
    const one = startWatching(buildNetNamespace({ id: at + 1, bornSeconds: at }), 0)
    Object.assign(one.identity, identity)
    return one
  })
}

const repeat = (count: number, identity: Partial<Identity>) =>
  Array.from({ length: count }, () => identity)
const choose = (watched: ReturnType<typeof watch>, most: number) =>
  chooseShown(watched, { most, isFailing: () => false }).map(
    ({ identity }) => identity.namespace.id,
  )

test('one user who may unshare gets a fiftieth of the page, root what there is', () => {
  const shown = choose(watch([...repeat(150, { uid: 1000 }), ...repeat(30, { uid: 0 })]), 500)
  expect(shown.filter((id) => id <= 150)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  expect(shown).toHaveLength(40)
})

test('two users do not share, nor is anybody whose user is not known limited', () => {
  const two = [...repeat(20, { uid: 1000 }), ...repeat(20, { uid: 1001 })]
  expect(choose(watch(two), 500)).toHaveLength(20)
  expect(choose(watch(repeat(20, {})), 500)).toHaveLength(20)
})

test('a pod has its own namespace, and a fiftieth for those that are made inside', () => {
  const pods = [
    ...repeat(100, { podUid: 'a', uid: 0 }),
    { podUid: 'b', uid: 0 },
    { containerId: 'c', uid: 1000 },
  ]
  const shown = choose(watch(pods), 100)
  expect(shown).toEqual([1, 2, 3, 101, 102])
})

test('of one user those that could hold a fifth of the ports come before the older ones', () => {
  const watched = watch(repeat(30, { uid: 1000 }))
  for (const one of watched.slice(20)) one.last.boundPorts = 6000
  expect(choose(watched, 250)).toEqual([21, 22, 23, 24, 25])
})

test('what was known of one that is left out is forgotten, its name apart', () => {
  const watched = watch(repeat(2, { name: { netns: 'inode/1', netnsKind: 'inode' } }))
  const [, last] = watched
  if (last === undefined) throw new Error('nothing is watched')
  last.last.failure = { reason: 'vanished', message: '' }
  last.last.readAtSeconds = 5
  expect(choose(watched, 1)).toEqual([1])
  expect(last.last).toMatchObject({ failure: undefined, readAtSeconds: undefined })
  expect([last.published.leftOut, last.identity.name?.netns]).toEqual([true, 'inode/1'])
})
