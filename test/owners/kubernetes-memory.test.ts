import { expect, test } from 'vitest'
import { createPodMemory } from '../../src/owners/kubernetes-memory.ts'
import type { Pod } from '../../src/owners/kubernetes-pods.ts'

const containerId = 'c'.repeat(64)

function pod(uid: string, containers: Record<string, string> = {}): Pod {
  return {
    uid,
    namespace: 'shop',
    name: uid,
    hostNetwork: false,
    portRange: undefined,
    reservedPorts: undefined,
    containers,
  }
}

test('lookup() counts the grace from the first list without the pod when more follow', () => {
  const memory = createPodMemory(60_000)
  memory.take([pod('a')], 0)
  memory.take([pod('b')], 10_000)
  memory.take([pod('b')], 50_000)
  expect(memory.lookup('a', 69_999)).toBeDefined()
  expect(memory.lookup('a', 70_000)).toBeUndefined()
})

test('knows() forgets the containers of a pod together with the pod', () => {
  const memory = createPodMemory(60_000)
  memory.take([pod('a', { [containerId]: 'web' })], 0)
  expect(memory.knows(containerId, 0)).toBe(true)
  memory.take([pod('b')], 10_000)
  expect(memory.knows(containerId, 69_999)).toBe(true)
  expect(memory.knows(containerId, 70_000)).toBe(false)
})

test('lookup() shows the newest when a pod is listed again with other containers', () => {
  const memory = createPodMemory(60_000)
  memory.take([pod('a')], 0)
  memory.take([pod('a', { [containerId]: 'web' })], 1000)
  expect(memory.lookup('a', 1000)?.containers).toEqual({ [containerId]: 'web' })
  expect(memory.pods(1000)).toHaveLength(1)
})
