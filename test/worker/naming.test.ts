import { describe, expect, test } from 'vitest'
import type { MakerUid } from '../../src/kernel/user-namespaces.ts'
import { noteReadError } from '../../src/worker/last-read.ts'
import { createNaming } from '../../src/worker/naming.ts'
import { startWatching, type Watched } from '../../src/worker/watched.ts'
import { buildNetNamespace } from '../support/netns/net-namespace.ts'

const containerId = 'c0ffee'.padEnd(64, '0')

/** A namespace that was read, of that container as its cgroup says. */
function watch(id: number, makerUid?: MakerUid): Watched {
  const one = startWatching(buildNetNamespace({ id, inode: 4_000_000_000 + id, makerUid }), 0)
  one.identity.containerId = containerId
  noteReadError(one.last, { reason: 'vanished', message: '' })
  return one
}

const listOf = (all: readonly Watched[], blind = false) => ({
  all: new Map(all.map((one) => [one.identity.namespace.id, one])),
  blind,
})

const nameAll = (all: readonly Watched[]) => {
  const naming = createNaming({ podNames: () => 'never' })
  naming.nameAll(listOf(all), 100)
  return all.map(({ identity }) => identity.name?.netns)
}

const name = `container/${containerId.slice(0, 12)}`

test('a user who calls a cgroup like that of a container does not take its name, whoever is listed first', () => {
  expect(nameAll([watch(2, 1000), watch(3)])).toEqual([`${name}~2`, name])
  expect(nameAll([watch(2), watch(3, 1000)])).toEqual([name, `${name}~2`])
})

test('where nobody knows who made it, what is called so in a slice, unit or container of others does not take the name', () => {
  for (const outermostId of ['user-1000.slice', 'ci.service', 'c1']) {
    const [forged, real] = [watch(2), watch(3)]
    forged.identity.outermostId = outermostId
    real.identity.outermostId = containerId
    expect(nameAll([forged, real])).toEqual([`${name}~2`, name])
  }
  // Whoever had rights on the machine calls it what it is.
  const [inner, other] = [watch(2, 'privileged'), watch(3)]
  inner.identity.outermostId = 'c1'
  expect(nameAll([inner, other])).toEqual([name, `${name}~2`])
})

test('of those that nobody else made the one that is listed first has the name', () => {
  expect(nameAll([watch(2), watch(3, 0), watch(4)])).toEqual([name, `${name}~2`, `${name}~3`])
  expect(nameAll([watch(2, 1000), watch(3, 1001)])).toEqual([name, `${name}~2`])
})

test('the name is kept for one that is still to be read, but not for one that is left out', () => {
  const [forged, real] = [watch(2, 1000), watch(3)]
  // It reads the same on the page.
  forged.identity.containerId = containerId.replace(/0$/, '1')
  noteReadError(real.last, undefined)
  expect(nameAll([forged, real])).toEqual([undefined, undefined])
  real.published.leftOut = true
  expect(nameAll([forged, real])).toEqual([name, undefined])
})

test('a name that is too long for a label is cut, and a second one of it is called so all the same', () => {
  const all = [watch(2), watch(3), watch(4)]
  for (const [i, { identity }] of all.entries())
    identity.containerId = 'x'.repeat(i < 2 ? 255 : 254)
  const [first = '', second, other = ''] = nameAll(all)
  expect(first).toMatch(/^container\/x{223}~[0-9a-f]{16}$/)
  expect(second).toBe(`${first}~2`)
  expect(other).toMatch(/^container\/x{223}~[0-9a-f]{16}$/)
  expect(other).not.toBe(first)
})

describe('names that earlier workers gave', () => {
  /** The same namespaces as the next worker meets them: read or not. */
  const meet = (cookies: readonly bigint[], read: readonly bigint[] = cookies) =>
    cookies.map((cookie) => {
      const one = watch(Number(cookie))
      one.identity.namespace = { ...one.identity.namespace, cookie }
      if (!read.includes(cookie)) noteReadError(one.last, undefined)
      return one
    })
  const namesOf = (all: readonly Watched[]) => all.map(({ identity }) => identity.name?.netns)
  const podNames = () => 'never' as const

  test('are kept through worker after worker, whichever is read first, until the namespace has gone', () => {
    const first = createNaming({ podNames })
    const given = first.nameAll(listOf(meet([2n, 3n])), 100)
    expect(given?.map(([, { netns }]) => netns)).toEqual([name, `${name}~2`])

    // This one reads the second only, and dies.
    const second = createNaming({ podNames }, given)
    const met = meet([2n, 3n], [3n])
    const left = second.nameAll(listOf(met), 100) ?? given
    expect(namesOf(met)).toEqual([undefined, `${name}~2`])
    expect(left?.length).toBe(2)

    // This one meets a new one of that name before it reads the old ones.
    const third = createNaming({ podNames }, left)
    expect(third.nameAll(listOf([], true), 100)).toBeUndefined()
    const [a, b, c] = meet([2n, 3n, 4n], [4n])
    const all = [a, b, c].filter((one) => one !== undefined)
    third.nameAll(listOf(all), 100)
    for (const one of all) noteReadError(one.last, { reason: 'vanished', message: '' })
    expect(third.nameAll(listOf(all), 105)?.length).toBe(3)
    expect(namesOf(all)).toEqual([name, `${name}~2`, `${name}~3`])
    expect(third.nameAll(listOf(all), 110)).toBeUndefined()

    const rest = all.slice(1)
    expect(third.nameAll(listOf(rest), 115)?.map(([, { netns }]) => netns)).toEqual(namesOf(rest))
  })

  test('are free once their namespace has gone while no worker was there', () => {
    const given = createNaming({ podNames }).nameAll(listOf(meet([2n])), 100)
    const next = createNaming({ podNames }, given)
    const met = meet([3n])
    next.nameAll(listOf(met), 100)
    expect(next.nameAll(listOf(met), 105)).toBeUndefined()
    expect(namesOf(met)).toEqual([name])
  })
})
