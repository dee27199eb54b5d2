// What the collector of owners says of a tree of cgroups that is larger than a walk may be, with directories of an ordinary
// filesystem in the place of cgroups.

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

function createNames() {
  const names = createNodeNames({
    procfs: '/proc',
    cgroup: root,
    owners: true,
    kubernetes: false,
    monotonicSeconds: () => clock.ms / 1_000,
  })
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
    expect(createNames()(db)).toEqual({ owners: ['db.service'], success: true, problem: undefined })
  })

  test('is not passed over in silence where its own are not found, and they come back', () => {
    const db = make('/system.slice/db.service')
    const evil = Array.from({ length: 100 }, (_, i) => make(`${EVIL}/evil${i}.service`))
    const sample = createNames()
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
    const sample = createNames()
    expect(sample(...evil).success).toBe(false)
    expect(sample().success).toBe(true)
  })
})
