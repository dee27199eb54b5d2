import { once } from 'node:events'
import { afterEach, describe, expect, test } from 'vitest'
import type { PodDirectoryOptions } from '../../src/pods/directory.ts'
import { podObject } from '../support/cluster/fake-api-server.ts'
import { type DirectoryBench, setUpDirectory } from '../support/cluster/pod-directory-bench.ts'

const benches: DirectoryBench[] = []

afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.close()
})

async function setUp(options?: Partial<PodDirectoryOptions>): Promise<DirectoryBench> {
  const bench = await setUpDirectory(options)
  benches.push(bench)
  bench.fake.pods = [podObject({ uid: 'a', name: 'cart' })]
  return bench
}

const containerId = 'c'.repeat(64)

describe('pods()', () => {
  test('knows nothing and starts nothing when nobody requested', async () => {
    const { lookup, directory, startedSeconds, fake, clock } = await setUp()
    expect(lookup('a')).toBeUndefined()
    clock.advance(3_600_000)
    expect(startedSeconds).toEqual([])
    expect(fake.requests).toEqual([])
    expect(directory.lastList()).toBeUndefined()
  })

  test('knows a pod once the list that was requested has come in', async () => {
    const { lookup, directory, idle, fake } = await setUp()
    directory.request(['a'])
    expect(lookup('a')).toBeUndefined()
    await idle()
    expect(lookup('a')).toMatchObject({ namespace: 'shop', name: 'cart' })
    expect(directory.pods()).toEqual([lookup('a')])
    expect(fake.requests).toHaveLength(1)
  })

  test('remembers a pod that has gone until the grace is over when lists go on', async () => {
    const { lookup, directory, clock, fake, idle } = await setUp({ graceMs: 60_000 })
    directory.request(['a'])
    await idle()
    fake.pods = [podObject({ uid: 'b' })]
    clock.advance(3_600_000)
    expect(lookup('a')?.name).toBe('cart')
    directory.request(['b'])
    await idle()
    clock.advance(59_999)
    expect(lookup('a')?.name).toBe('cart')
    clock.advance(1)
    expect(lookup('a')).toBeUndefined()
    expect(directory.pods().map(({ uid }) => uid)).toEqual(['b'])
  })

  test('starts the grace anew when a pod was listed again in between', async () => {
    const { lookup, directory, clock, fake, idle } = await setUp({ graceMs: 60_000 })
    const carts = fake.pods
    for (const [i, pods] of [carts, [], carts, []].entries()) {
      fake.pods = [...pods, podObject({ uid: `new-${i}` })]
      directory.request([`new-${i}`])
      await idle()
      clock.advance(40_000)
    }
    expect(fake.requests).toHaveLength(4)
    expect(lookup('a')?.name).toBe('cart')
  })
})

describe('request()', () => {
  test('asks no more when all that is requested is known', async () => {
    const { sample, startedSeconds } = await setUp()
    await sample(['a'], 3_600_000, 60_000)
    expect(startedSeconds).toEqual([0])
  })

  test('asks once when many are requested while the list is under way', async () => {
    const { directory, idle, fake } = await setUp()
    for (let i = 0; i < 50; i++) directory.request(['a', `other-${i}`])
    await idle()
    expect(fake.requests).toHaveLength(1)
  })

  test('waits for the least interval when the next unknown pod appears at once', async () => {
    const { lookup, directory, clock, idle, fake, startedSeconds } = await setUp()
    directory.request(['a'])
    await idle()
    fake.pods.push(podObject({ uid: 'b', name: 'shop' }))
    clock.advance(1000)
    directory.request(['b'])
    clock.advance(3999)
    expect(startedSeconds).toEqual([0])
    clock.advance(1)
    await idle()
    expect(startedSeconds).toEqual([0, 5])
    expect(lookup('b')?.name).toBe('shop')
  })

  test('never asks more often than the least interval when every sample has a new pod', async () => {
    const { directory, clock, idle, startedSeconds } = await setUp()
    for (let i = 0; i < 120; i++) {
      directory.request([`unheard-of-${i}`])
      await idle()
      clock.advance(500)
      await idle()
    }
    expect(startedSeconds).toEqual(Array.from({ length: 13 }, (_, i) => i * 5))
  })

  test('asks ever more rarely when a pod is on no list', async () => {
    const { sample, startedSeconds } = await setUp()
    await sample(['never-listed'], 1_800_000)
    expect(startedSeconds).toEqual([0, 5, 15, 35, 75, 155, 315, 615, 915, 1215, 1515])
  })

  test('asks no more when a pod that is on no list is no longer requested', async () => {
    const { sample, startedSeconds } = await setUp()
    await sample(['never-listed'], 60_000)
    const before = startedSeconds.length
    await sample([], 7_200_000, 60_000)
    // At most the few that the ten minutes of patience still allow.
    expect(startedSeconds.slice(before)).toEqual([75, 155, 315, 615])
  })

  test('asks again for the sake of a container when its pod was listed before it started', async () => {
    const { lookup, directory, clock, idle, fake, startedSeconds } = await setUp()
    directory.request(['a'])
    await idle()
    fake.pods = [podObject({ uid: 'a', containers: { [containerId]: 'web' } })]
    clock.advance(5000)
    directory.request([], [containerId])
    clock.advance(24_999)
    expect(startedSeconds).toEqual([0])
    clock.advance(1)
    await idle()
    expect(startedSeconds).toEqual([0, 30])
    expect(lookup('a')?.containers[containerId]).toBe('web')
    directory.request([], [containerId])
    clock.advance(3_600_000)
    expect(startedSeconds).toEqual([0, 30])
  })

  test('does nothing when the directory was stopped', async () => {
    const { directory, clock, startedSeconds } = await setUp()
    directory.stop()
    directory.request(['a'])
    clock.advance(3_600_000)
    expect(startedSeconds).toEqual([])
  })
})

describe('stop()', () => {
  test('ends the request under way in silence', async () => {
    const { directory, fake, logged, clock } = await setUp()
    const reached = new Promise<void>((resolve) => {
      fake.mishaps.push((request) => {
        void once(request.socket, 'close').then(() => resolve())
        directory.stop()
      })
    })
    directory.request(['a'])
    await reached
    expect(logged).toEqual([])
    expect(directory.lastList()).toBeUndefined()
    expect(clock.waiting()).toBe(0)
  })

  test('leaves no timer when a list was waited for', async () => {
    const { directory, clock, idle } = await setUp()
    directory.request(['never-listed'])
    await idle()
    expect(clock.waiting()).toBe(1)
    directory.stop()
    expect(clock.waiting()).toBe(0)
  })
})
