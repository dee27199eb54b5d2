import { describe, expect, test } from 'vitest'
import { SourceError } from '../../src/observation.ts'
import { createClientNames } from '../../src/worker/client-names.ts'
import { startWatching, type Watched } from '../../src/worker/watched.ts'
import { buildNetNamespace } from '../support/netns/net-namespace.ts'

function setUp() {
  const world = {
    now: 1000,
    /** How long it takes to ask one. */
    lastsSeconds: 0,
    addresses: new Map<number, readonly string[] | Error>(),
    pods: new Map<string, string>(),
    read: [] as number[],
  }
  const names = createClientNames({
    read: ({ id }) => {
      world.read.push(id)
      world.now += world.lastsSeconds
      const addresses = world.addresses.get(id) ?? []
      if (addresses instanceof Error) throw addresses
      return addresses
    },
    namePod: (address) => {
      const owner = world.pods.get(address)
      return owner === undefined ? undefined : { owner, ownerKind: 'pod' }
    },
    monotonicSeconds: () => world.now,
  })
  const add = (id: number, netns: string, addresses: readonly string[] | Error): Watched => {
    world.addresses.set(id, addresses)
    const watched = startWatching(buildNetNamespace({ id }), 0)
    watched.identity.name = { netns, netnsKind: 'named' }
    return watched
  }
  return { world, names, add }
}

describe('the clients of a NAT', () => {
  test('are named by the list of pods, else by the namespace that has the address', () => {
    const { world, names, add } = setUp()
    const router = add(1, 'named/router', ['10.0.0.1', '10.0.0.2'])
    const pod = add(2, 'pod/shop/cart', ['10.0.0.3'])
    pod.identity.pod = {
      uid: 'u',
      namespace: 'shop',
      name: 'cart',
      addresses: [],
      containers: {},
      portRange: undefined,
      reservedPorts: undefined,
    }
    world.pods.set('10.0.0.2', 'shop/till')
    expect(names.nameClient('10.0.0.1')).toBeUndefined()
    names.refresh([router, pod])
    expect(names.nameClient('10.0.0.1')).toEqual({ owner: 'named/router', ownerKind: 'netns' })
    expect(names.nameClient('10.0.0.2')).toEqual({ owner: 'shop/till', ownerKind: 'pod' })
    expect(names.nameClient('10.0.0.3')).toEqual({ owner: 'shop/cart', ownerKind: 'pod' })
    expect(names.nameClient('10.0.0.4')).toBeUndefined()
  })

  test('are nobody where two namespaces have the address, or the namespace has no name yet', () => {
    const { names, add } = setUp()
    const [one, other] = [add(1, 'named/one', ['10.0.0.1']), add(2, 'named/two', ['10.0.0.1'])]
    const unnamed = add(3, '', ['10.0.0.2', '10.0.0.2'])
    unnamed.identity.name = undefined
    names.refresh([one, other, unnamed])
    expect(names.nameClient('10.0.0.1')).toBeUndefined()
    expect(names.nameClient('10.0.0.2')).toBeUndefined()
    unnamed.identity.name = { netns: 'named/three', netnsKind: 'named' }
    expect(names.nameClient('10.0.0.2')?.owner).toBe('named/three')
    names.refresh([one])
    expect(names.nameClient('10.0.0.1')?.owner).toBe('named/one')
    expect(names.nameClient('10.0.0.2')).toBeUndefined()
  })

  test('are asked for once a minute, and what may not be entered names nobody', () => {
    const { world, names, add } = setUp()
    const refused = add(1, 'named/one', new SourceError('permission', 'Cannot enter it'))
    names.refresh([refused])
    names.refresh([refused, add(2, 'named/two', ['10.0.0.2'])])
    expect(world.read).toEqual([1, 2])
    world.now += 60
    world.addresses.set(2, ['10.0.0.3'])
    names.refresh([refused, add(2, 'named/two', ['10.0.0.3'])])
    expect(world.read).toEqual([1, 2, 1, 2])
    expect(names.nameClient('10.0.0.2')).toBeUndefined()
    expect(names.nameClient('10.0.0.3')?.owner).toBe('named/two')
  })

  test('are asked for in a second or so, the oldest first, and have no names before all were', () => {
    const { world, names, add } = setUp()
    const five = [1, 2, 3, 4, 5].map((id) => add(id, `named/${id}`, [`10.0.0.${id}`]))
    world.lastsSeconds = 0.4
    names.refresh(five)
    expect(world.read).toEqual([1, 2, 3])
    expect(names.nameClient('10.0.0.1')).toBeUndefined()
    names.refresh(five)
    expect(world.read).toEqual([1, 2, 3, 4, 5])
    expect(names.nameClient('10.0.0.1')?.owner).toBe('named/1')
    // Each has its own minute.
    world.now = 1060.5
    names.refresh(five)
    expect(world.read.slice(5)).toEqual([1, 2])
  })

  test('have no names any more that could not be looked at again for ten minutes', () => {
    const { world, names, add } = setUp()
    const [one, other] = [add(1, 'named/one', ['10.0.0.1']), add(2, 'named/two', ['10.0.0.2'])]
    names.refresh([one, other])
    world.lastsSeconds = 2
    world.now += 599
    names.refresh([one, other])
    expect(world.read).toEqual([1, 2, 1])
    expect(names.nameClient('10.0.0.2')?.owner).toBe('named/two')
    world.now += 60
    world.addresses.set(2, new SourceError('timeout', 'The kernel does not answer'))
    names.refresh([one])
    names.refresh([one, other])
    expect(names.nameClient('10.0.0.1')?.owner).toBe('named/one')
    expect(names.nameClient('10.0.0.2')).toBeUndefined()
  })
})
