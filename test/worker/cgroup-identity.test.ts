// Whose a namespace is by the cgroups of its processes, and which of them are believed.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { MakerUid } from '../../src/kernel/user-namespaces.ts'
import { identifyByCgroups } from '../../src/worker/cgroup-identity.ts'
import { isForgeable, startWatching } from '../../src/worker/watched.ts'
import { buildNetNamespace } from '../support/netns/net-namespace.ts'

let procfs = ''
beforeEach(() => {
  procfs = mkdtempSync(join(tmpdir(), 'cgroups-'))
})
afterEach(() => rmSync(procfs, { recursive: true }))

const id = 'c0ffee'.padEnd(64, '0')
const uid = 'e8f4e951-6367-4c5b-ad38-6f67cb4b6bbf'

/** Its processes have these cgroups, one after the other. */
function identifyIn(paths: readonly string[], makerUid?: MakerUid) {
  const pids = paths.map((_, at) => at + 1)
  const one = startWatching(buildNetNamespace({ makerUid, pids }), 0)
  return { one, ...move(one, paths) }
}

function move(one: ReturnType<typeof startWatching>, paths: readonly string[]) {
  for (const [at, path] of paths.entries()) {
    mkdirSync(join(procfs, String(at + 1)), { recursive: true })
    writeFileSync(join(procfs, String(at + 1), 'cgroup'), `0::${path}\n`)
  }
  identifyByCgroups(one.identity, procfs)
  const { podUid, containerId, outermostId } = one.identity
  return { podUid, containerId, outermostId, forgeable: isForgeable(one) }
}

const pod = { podUid: uid, containerId: id, outermostId: uid, forgeable: false }

test('a pod is one, whoever made it, but not in what somebody else holds', () => {
  const path = `/kubepods/pod${uid}/${id}`
  expect(identifyIn([path])).toMatchObject(pod)
  expect(identifyIn([path], 'privileged')).toMatchObject(pod)
  expect(identifyIn([path], 0)).toMatchObject(pod)
  expect(identifyIn([path], 1000)).toMatchObject({ podUid: undefined, forgeable: true })
  for (const held of ['/user.slice/user-1000.slice/user@1000.service', '/ci.service', '/lxc/web']) {
    const forged = { podUid: undefined, containerId: id, forgeable: true }
    expect(identifyIn([held + path])).toMatchObject(forged)
    // Root without rights on the machine, in a user namespace.
    expect(identifyIn([held + path], 0)).toMatchObject(forged)
  }
  // A node in a container is made by its root, who had rights on the machine.
  expect(identifyIn([`/lxc/web${path}`], 'privileged')).toMatchObject({
    ...{ podUid: uid, outermostId: 'web', forgeable: false },
  })
})

test('without a container it is of the unit or the slice of its processes', () => {
  expect(identifyIn(['/user.slice/user-1000.slice/session-3.scope'])).toMatchObject({
    ...{ podUid: undefined, containerId: undefined, outermostId: 'user-1000.slice' },
  })
  expect(identifyIn(['/'])).toMatchObject({ outermostId: undefined, forgeable: false })
})

test('what comes later and tells more is believed: a helper of the runtime was there first', () => {
  const helper = `/system.slice/crio-conmon-${id}.scope`
  const { one, ...first } = identifyIn([helper])
  expect(first).toMatchObject({ containerId: undefined, outermostId: `crio-conmon-${id}.scope` })
  expect(move(one, [`/docker/${id}`])).toMatchObject({
    ...{ containerId: id, outermostId: id, forgeable: false },
  })
  expect(move(one, [helper])).toMatchObject({ containerId: id, outermostId: id })
  expect(move(one, [`/kubepods/pod${uid}/${id}`])).toMatchObject(pod)
})
