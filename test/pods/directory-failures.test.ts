import { afterEach, describe, expect, test, vi } from 'vitest'
import type { PodDirectoryOptions } from '../../src/pods/directory.ts'
import { type Handler, podObject, refuse } from '../support/cluster/fake-api-server.ts'
import { type DirectoryBench, setUpDirectory } from '../support/cluster/pod-directory-bench.ts'

const benches: DirectoryBench[] = []

afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.close()
})

async function setUp(
  mishaps: readonly Handler[],
  options?: Partial<PodDirectoryOptions>,
): Promise<DirectoryBench> {
  const bench = await setUpDirectory(options)
  benches.push(bench)
  bench.fake.pods = [podObject({ uid: 'a', name: 'cart' })]
  bench.fake.mishaps.push(...mishaps)
  return bench
}

const unavailable = refuse(503, 'etcd leader changed')
const forever = (handler: Handler) => Array.from({ length: 100 }, () => handler)

describe('a pod directory whose API server fails', () => {
  test('waits twice as long after each failure, up to five minutes', async () => {
    const { sample, startedSeconds } = await setUp(forever(unavailable))
    await sample(['a'], 1_500_000)
    expect(startedSeconds).toEqual([0, 5, 15, 35, 75, 155, 315, 615, 915, 1215])
  })

  test('waits half as long when chance will have it, but never less than the least interval', async () => {
    const { sample, startedSeconds } = await setUp(forever(unavailable), { random: () => 1 })
    await sample(['a'], 700_000)
    expect(startedSeconds).toEqual([0, 5, 10, 20, 40, 80, 160, 310, 460, 610])
  })

  test('stays away for as long as the server asks when that is longer', async () => {
    const throttled = refuse(429, 'too many requests', { 'retry-after': '60' })
    const { lookup, sample, startedSeconds } = await setUp([throttled])
    await sample(['a'], 120_000)
    expect(startedSeconds).toEqual([0, 60])
    expect(lookup('a')?.name).toBe('cart')
  })

  test('comes back up to a quarter later than the server asks', async () => {
    const throttled = refuse(503, 'overloaded', { 'retry-after': '60' })
    const { sample, startedSeconds } = await setUp([throttled], { random: () => 1 })
    await sample(['a'], 120_000)
    expect(startedSeconds).toEqual([0, 75])
  })

  test('starts from the shortest wait when it fails again after a success', async () => {
    const { sample, startedSeconds, fake } = await setUp([unavailable, unavailable])
    await sample(['a'], 60_000)
    expect(startedSeconds).toEqual([0, 5, 15])
    fake.mishaps.push(unavailable)
    fake.pods.push(podObject({ uid: 'b' }))
    await sample(['a', 'b'], 60_000)
    expect(startedSeconds).toEqual([0, 5, 15, 60, 65])
  })

  test('asks no more when nobody wants to know any longer', async () => {
    const { sample, startedSeconds } = await setUp(forever(unavailable))
    await sample(['a'], 10_000)
    await sample([], 3_600_000, 60_000)
    expect(startedSeconds.filter((seconds) => seconds > 700)).toEqual([])
  })

  test('keeps the names it has when a later list fails', async () => {
    const { lookup, directory, sample, fake } = await setUp([])
    await sample(['a'], 5000)
    fake.mishaps.push(...forever(unavailable))
    await sample(['a', 'b'], 600_000)
    expect(lookup('a')?.name).toBe('cart')
    expect(directory.lastList()?.success).toBe(false)
  })

  test('names the pods when the token is rotated after it was refused', async () => {
    let token = 'expired'
    const options = { readToken: () => token }
    const { lookup, sample, fake, logged, startedSeconds } = await setUp([], options)
    await sample(['a'], 4000, 4000)
    expect(logged).toEqual(['warn: Cannot list the pods of this node: unauthorized'])
    token = fake.token
    await sample(['a'], 5000)
    expect(startedSeconds).toEqual([0, 5])
    expect(lookup('a')?.name).toBe('cart')
  })

  test('says that the name of the node is wrong when the list is empty', async () => {
    const log = { info: vi.fn(), warn: vi.fn() }
    const { directory, sample } = await setUp([], { nodeName: 'node-7', log })
    await sample(['a'], 5000)
    expect(directory.lastList()?.success).toBe(false)
    const message = 'Kubernetes knows no pod on a node "node-7", not even this one'
    expect(log.warn.mock.calls).toEqual([
      [
        'Cannot list the pods of this node',
        { reason: 'empty', error: expect.objectContaining({ message }) },
      ],
    ])
  })

  test('says how the last list went and how long it took', async () => {
    const { directory, clock, sample, fake } = await setUp([refuse(403, 'no'), unavailable])
    await sample(['a'], 10_000)
    fake.mishaps.push((...exchange) => {
      clock.advance(1500)
      unavailable(...exchange)
    })
    await sample(['a'], 10_000)
    expect(directory.lastList()).toEqual({ success: false, durationSeconds: 1.5 })
    await sample(['a'], 60_000)
    expect(directory.lastList()).toEqual({ success: true, durationSeconds: 0 })
  })

  test('writes one log line for each change, and none while nothing changes', async () => {
    const mishaps = [unavailable, unavailable, refuse(403, 'no'), refuse(403, 'no'), unavailable]
    const { sample, logged, fake } = await setUp(mishaps)
    await sample(['a'], 300_000)
    for (const uid of ['b', 'c', 'd']) {
      fake.pods.push(podObject({ uid }))
      await sample([uid], 10_000)
    }
    expect(logged).toEqual([
      'warn: Cannot list the pods of this node: unavailable',
      'warn: Cannot list the pods of this node: forbidden',
      'warn: Cannot list the pods of this node: unavailable',
      'info: Kubernetes names the pods of this node',
    ])
  })

  test('treats a fault of its own as data when nothing foresaw it', async () => {
    const apiServer = { host: '127.0.0.1', port: 70_000 }
    const { directory, sample, logged } = await setUp([], { apiServer })
    await sample(['a'], 5000)
    expect(directory.lastList()?.success).toBe(false)
    expect(logged).toEqual(['warn: Cannot list the pods of this node: unreachable'])
  })
})
