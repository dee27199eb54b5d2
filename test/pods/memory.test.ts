import { expect, test } from 'vitest'
import { createPodMemory } from '../../src/pods/memory.ts'
import type { Pod } from '../../src/sample.ts'

const containerId = 'c'.repeat(64)

function pod(uid: string, containers: Record<string, string> = {}): Pod {
  return {
    uid,
    namespace: 'shop',
    name: uid,
    portRange: undefined,
    reservedPorts: undefined,
    addresses: [],
    containers,
  }
}

test('pods() counts the grace from the first list without the pod when more follow', () => {
  const memory = createPodMemory(60_000)
  memory.take([pod('a')], 0)
  memory.take([pod('b')], 10_000)
  memory.take([pod('b')], 50_000)
  expect(memory.pods(69_999).map(({ uid }) => uid)).toEqual(['a', 'b'])
  expect(memory.pods(70_000).map(({ uid }) => uid)).toEqual(['b'])
})

test('knows() forgets the containers of a pod together with the pod', () => {
  const memory = createPodMemory(60_000)
  memory.take([pod('a', { [containerId]: 'web' })], 0)
  expect(memory.knows(containerId, 0)).toBe(true)
  memory.take([pod('b')], 10_000)
  expect(memory.knows(containerId, 69_999)).toBe(true)
  expect(memory.knows(containerId, 70_000)).toBe(false)
})

test('pods() shows the newest when a pod is listed again with other containers', () => {
  const memory = createPodMemory(60_000)
  memory.take([pod('a')], 0)
  memory.take([pod('a', { [containerId]: 'web' })], 1000)
  expect(memory.pods(1000)).toEqual([pod('a', { [containerId]: 'web' })])
})
