import { describe, expect, test } from 'vitest'
import type { MakerUid } from '../../src/kernel/user-namespaces.ts'
import { chooseShown } from '../../src/worker/crowd.ts'
import { noteBound, noteReadError } from '../../src/worker/last-read.ts'
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

const madeBy = (makerUid: MakerUid, at: number) =>
  buildNetNamespace({ id: at, bornSeconds: at, makerUid })
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

test('who calls cgroups of their own pods or containers gets a tenth of the page, and no pod loses its place', () => {
  const forged = Array.from({ length: 600 }, (_, at) => ({
    ...(at % 2 === 0 ? { podUid: `forged ${at}` } : { containerId: `forged ${at}` }),
    // What newuidmap(1) grants are users too, all of one.
    uid: 100_000 + at,
    namespace: madeBy(1000, at + 1),
  }))
  const pods = Array.from({ length: 300 }, (_, at) => ({ podUid: `pod ${at}`, uid: 65_535 }))
  const shown = choose(watch([...forged, ...pods]), 500)
  expect(shown.filter((id) => id <= 600)).toHaveLength(50)
  expect(shown.filter((id) => id > 600)).toHaveLength(300)
})

test('an older namespace of a user that claims to be of a pod takes nothing from it', () => {
  const claims = repeat(600, { podUid: 'a' }).map((one, at) => ({
    ...one,
    namespace: madeBy(1000, at + 1),
  }))
  // The pod's own namespaces fill its share without the others'.
  const shown = choose(watch([...claims, ...repeat(3, { podUid: 'a', uid: 0 })]), 100)
  expect(shown.filter((id) => id > 600)).toEqual([601, 602, 603])
  expect(shown.filter((id) => id <= 600)).toHaveLength(3)
})

test('the containers of a user leave places to those of another, and to what that user makes besides', () => {
  const of = (makerUid: number, from: number) =>
    Array.from({ length: 30 }, (_, at) => ({
      containerId: at < 25 ? `container ${at}` : undefined,
      namespace: madeBy(makerUid, from + at),
    }))
  const shown = choose(watch([...of(1000, 1), ...of(1001, 31)]), 100)
  expect(shown.filter((id) => id <= 25)).toHaveLength(10)
  expect(shown.filter((id) => id > 25 && id <= 30)).toHaveLength(2)
  expect(shown.filter((id) => id > 30)).toHaveLength(12)
})

test('root in a container that makes namespaces has the share of its pod', () => {
  const nested = Array.from({ length: 20 }, (_, at) => ({
    podUid: 'a',
    namespace: madeBy(0, at + 1),
  }))
  expect(choose(watch(nested), 100)).toEqual([1, 2, 3])
})

test('of one user those that could hold a fifth of the ports come before the older ones', () => {
  const watched = watch(repeat(30, { uid: 1000 }))
  for (const one of watched.slice(20)) noteBound(one.last, 6000)
  expect(choose(watched, 250)).toEqual([21, 22, 23, 24, 25])
})

test('what was known of one that is left out is forgotten, its name apart', () => {
  const watched = watch(repeat(2, { name: { netns: 'inode/1', netnsKind: 'inode' } }))
  const [, last] = watched
  if (last === undefined) throw new Error('nothing is watched')
  noteReadError(last.last, { reason: 'vanished', message: '' })
  Object.assign(last.last, { readAtSeconds: 5 })
  expect(choose(watched, 1)).toEqual([1])
  expect(last.last).toMatchObject({ readError: undefined, readAtSeconds: undefined })
  expect([last.published.leftOut, last.identity.name?.netns]).toEqual([true, 'inode/1'])
})

test('a thousand users that root in one pod has become get a tenth of the page together', () => {
  const forged = Array.from({ length: 1001 }, (_, at) => ({
    // Each is the first of its user, in a cgroup below the container's or in the container's own.
    containerId: at % 2 === 0 ? 'c' : `forged ${at}`,
    outermostId: 'a',
    namespace: madeBy(1000 + at, at + 1),
  }))
  const others = Array.from({ length: 300 }, (_, at) => ({ uid: 0, firstSeenSeconds: at }))
  const shown = choose(watch([...forged, ...others]), 500)
  expect(shown.filter((id) => id <= 1001)).toHaveLength(50)
  expect(shown.filter((id) => id > 1001)).toHaveLength(300)
})

test('a user who calls each cgroup like another pod around it has a tenth all the same', () => {
  const forged = Array.from({ length: 600 }, (_, at) => ({
    ...{ containerId: `forged ${at}`, outermostId: `forged pod ${at}` },
    namespace: madeBy(1000, at + 1),
  }))
  expect(choose(watch(forged), 500)).toHaveLength(50)
})

test('what root calls pods in a user namespace in a container are no pods', () => {
  const forged = Array.from({ length: 600 }, (_, at) => ({
    podUid: `forged ${at}`,
    outermostId: 'c',
    namespace: madeBy(0, at + 1),
  }))
  const pods = Array.from({ length: 300 }, (_, at) => ({ podUid: `pod ${at}`, uid: 65_535 }))
  const shown = choose(watch([...forged, ...pods]), 500)
  expect(shown.filter((id) => id <= 600)).toHaveLength(50)
  expect(shown.filter((id) => id > 600)).toHaveLength(300)
})

test('pods in user namespaces of the runtime, and those of a node in a container, keep their places', () => {
  const inUserNamespaces = Array.from({ length: 50 }, (_, at) => ({
    ...{ podUid: `pod ${at}`, outermostId: `pod ${at}` },
    namespace: madeBy(0, at + 1),
  }))
  const inNode = Array.from({ length: 50 }, (_, at) => ({
    ...{ podUid: `inner ${at}`, outermostId: 'node' },
    namespace: madeBy('privileged', at + 51),
  }))
  expect(choose(watch([...inUserNamespaces, ...inNode]), 100)).toHaveLength(100)
})

describe('where the kernel does not tell who made one', () => {
  const pods = Array.from({ length: 60 }, (_, at) => ({
    ...{ podUid: `pod ${at}`, outermostId: `pod ${at}`, uid: 65_535 },
  }))

  test.each(['user-1000.slice', 'ci.service', 'container'])(
    'all that lies in %s has a tenth of the page, whatever it calls itself',
    (outermostId) => {
      const forged = Array.from({ length: 600 }, (_, at) => ({
        ...(at % 2 === 0 ? { containerId: `forged ${at}` } : {}),
        ...{ outermostId, uid: 100_000 + at },
      }))
      const shown = choose(watch([...forged, ...pods]), 500)
      expect(shown.filter((id) => id <= 600)).toHaveLength(50)
      expect(shown.filter((id) => id > 600)).toHaveLength(60)
    },
  )

  test('older ones in a cgroup that a user calls like a pod, in all its share, take nothing from it', () => {
    const forged = repeat(10, { containerId: 'pod 0', outermostId: 'user-1000.slice', uid: 1000 })
    const inside = repeat(10, { podUid: 'pod 0', outermostId: 'pod 0', uid: 65_535 })
    const shown = choose(watch([...forged, ...pods, ...inside]), 500)
    expect(shown).toHaveLength(80)
  })

  test('what a user calls a container takes nothing from another user of that name', () => {
    const called = { containerId: 'user 1001', outermostId: 'user-1000.slice', uid: 1000 }
    const ofOther = repeat(10, { outermostId: 'user-1001.slice', uid: 1001 })
    const shown = choose(watch([...repeat(20, called), ...ofOther]), 500)
    expect(shown.filter((id) => id <= 20)).toHaveLength(10)
    expect(shown.filter((id) => id > 20)).toHaveLength(10)
  })

  test('a container is its own, and so is what root makes outside of all containers', () => {
    const containers = Array.from({ length: 60 }, (_, at) => ({
      ...{ containerId: `own ${at}`, outermostId: `own ${at}` },
    }))
    const ofRoot = repeat(60, { outermostId: 'user-1000.slice', uid: 0 })
    expect(choose(watch([...containers, ...ofRoot, ...pods]), 500)).toHaveLength(180)
  })
})
