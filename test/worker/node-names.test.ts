// Whose cgroups are, and what the collector of owners says of a tree that is larger than a walk may be, with directories of
// an ordinary filesystem in the place of cgroups.

import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createNodeNames } from '../../src/worker/node-names.ts'

const clock = vi.hoisted(() => ({ ms: 0 }))
vi.mock('../../src/owners/cgroup-tree.ts', async (importOriginal) => {
  const real = await importOriginal<typeof import('../../src/owners/cgroup-tree.ts')>()
  const createCgroupTree: typeof real.createCgroupTree = (options) =>
    real.createCgroupTree({ ...options, maxDirectories: 50, monotonicMs: () => clock.ms })
  return { ...real, createCgroupTree }
})

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'node-names-'))
  writeFileSync(join(root, 'cgroup.controllers'), '')
})
afterEach(() => rmSync(root, { recursive: true }))

const make = (path: string) => {
  mkdirSync(root + path, { recursive: true })
  return statSync(root + path).ino
}

const createNames = () =>
  createNodeNames({
    procfs: '/proc',
    cgroup: root,
    owners: true,
    kubernetes: true,
    monotonicSeconds: () => clock.ms / 1_000,
  })

function startSampling() {
  const names = createNames()
  /** A sample in which a namespace has sockets of these cgroups. */
  return (...ids: readonly number[]) => {
    clock.ms += 600_000
    const nameOf = names.nameOwnersOf(1)('cgroup', new Set(ids))
    const owners = ids.map((id) => nameOf(id)?.owner)
    names.retain(new Map([[1, undefined]]))
    const [{ success, problem } = { success: undefined }] = names.collectors()
    return { owners, success, problem }
  }
}

const EVIL = '/user.slice/user-1000.slice/user@1000.service'

describe('a tenant with more cgroups than a walk may see', () => {
  test('blinds nobody', () => {
    const db = make('/system.slice/db.service')
    for (let i = 0; i < 100; i++) make(`${EVIL}/evil${i}`)
    expect(startSampling()(db)).toEqual({
      owners: ['db.service'],
      success: true,
      problem: undefined,
    })
  })

  test('is not passed over in silence where its own are not found, and they come back', () => {
    const db = make('/system.slice/db.service')
    const evil = Array.from({ length: 100 }, (_, i) => make(`${EVIL}/evil${i}.service`))
    const sample = startSampling()
    const { owners, success, problem } = sample(db, ...evil)
    expect(owners[0]).toBe('db.service')
    // The root, the way to the tenant's, and db.service with its slice.
    const unknown = owners.filter((owner) => owner === undefined).length
    expect(unknown).toBe(100 - (50 - 6))
    expect(success).toBe(false)
    expect(problem).toBe(
      `Cannot name ${unknown} cgroups with sockets: there are more than 100000 cgroups`,
    )
    expect(sample(db, ...evil).success).toBe(false)

    const left = owners.slice(1).indexOf(undefined)
    for (let i = 0; i < 100; i++)
      if (i !== left) rmSync(`${root}${EVIL}/evil${i}.service`, { recursive: true })
    expect(sample(db, evil[left] ?? 0)).toEqual({
      owners: ['db.service', `user@1000.service/evil${left}.service`],
      success: true,
      problem: undefined,
    })
  })

  test('is no problem any more once its sockets are gone', () => {
    const evil = Array.from({ length: 100 }, (_, i) => make(`${EVIL}/evil${i}`))
    const sample = startSampling()
    expect(sample(...evil).success).toBe(false)
    expect(sample().success).toBe(true)
  })
})

test('a pod that a user, a service or a container calls a cgroup after is not asked for and not named', () => {
  const containerId = 'c0ffee123456'.padEnd(64, '7')
  const podUid = 'e8f4e951-6367-4c5b-ad38-6f67cb4b6bbf'
  const below = `kubepods/burstable/pod${podUid}/${containerId}`
  const forged = [`${EVIL}/${below}`, `/ci.service/${below}`, `/docker/${'f'.repeat(64)}/${below}`]
  const ids = [...forged, `/${below}`].map(make)
  const names = createNames()
  const nameAll = (those: readonly number[]) => {
    const nameOf = names.nameOwnersOf(1)('cgroup', new Set(ids))
    return those.map((id) => nameOf(id)?.owner)
  }
  const owners = ['user@1000.service', 'ci.service', 'f'.repeat(12)].map(
    (holder) => `${holder}/c0ffee123456`,
  )
  expect(nameAll(ids.slice(0, 3))).toEqual(owners)
  expect(names.wanted()).toEqual({ podUids: [], containerIds: [] })
  expect(nameAll(ids)).toEqual([...owners, 'c0ffee123456'])
  expect(names.wanted()).toEqual({ podUids: [podUid], containerIds: [] })
  const pod = { uid: podUid, namespace: 'shop', name: 'checkout', addresses: [] }
  const settings = { portRange: undefined, reservedPorts: undefined }
  names.setPods([{ ...pod, ...settings, containers: { [containerId]: 'app' } }], true)
  expect(nameAll(ids)).toEqual([...owners, 'shop/checkout/app'])
})
