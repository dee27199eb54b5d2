import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type CgroupIdentity,
  findOutermostId,
  parseCgroupPath,
  parseProcCgroup,
} from '../../src/owners/cgroup-path.ts'
import { cpuMsOf } from '../support/program/cpu-time.ts'

const fixtures = new URL('../fixtures/cgroup-paths/', import.meta.url)
const read = (name: string) => readFileSync(new URL(name, fixtures), 'utf8')
const rows: readonly ({ quirk: string; path: string } & CgroupIdentity)[] = JSON.parse(
  read('paths.json'),
)

const id = 'c0ffee'.padEnd(64, '0')
const uid = 'e8f4e951-6367-4c5b-ad38-6f67cb4b6bbf'

describe('parseCgroupPath()', () => {
  test.each(rows)('reads $quirk', ({ quirk: _, path, ...identity }) => {
    expect(parseCgroupPath(path)).toEqual(identity)
  })

  test('reads no path as the root', () => {
    expect(parseCgroupPath('')).toEqual({ kind: 'cgroup', name: '/' })
  })

  const anyPath = fc
    .array(
      fc.oneof(fc.string(), fc.constantFrom('..', 'x.slice', 'user@7.service', ':', `a-${id}`)),
    )
    .map((parts) => `/${parts.join('/')}`)

  test('gives every path a name', () => {
    fc.assert(
      fc.property(anyPath, (path) => {
        const identity = parseCgroupPath(path)
        expect(identity.name).not.toBe('')
        expect(identity.kind === 'container').toBe(identity.containerId !== undefined)
        expect(identity.kind === 'unit').toBe(identity.unit !== undefined)
        if (identity.kind === 'cgroup') expect(identity.name).toBe(path)
      }),
    )
  })

  test('reads the same wherever it looks from, and whatever a container makes below', () => {
    const told = rows.filter(({ kind }) => kind === 'container')
    expect(told.length).toBeGreaterThan(30)
    fc.assert(
      fc.property(fc.constantFrom(...told), fc.nat(4), anyPath, ({ path }, ups, below) => {
        const identity = parseCgroupPath(path)
        expect(parseCgroupPath('/..'.repeat(ups) + path)).toEqual(identity)
        // A container that no pod is known of may hold a whole node (kind), whose pods then count.
        fc.pre(identity.podUid !== undefined || !below.includes('pod'))
        expect(parseCgroupPath(path + below)).toEqual(identity)
      }),
    )
  })

  test('takes no longer for a path made to be slow', () => {
    const slow = [
      `/${'pod'.repeat(1_300)}`,
      `/${'-pod'.repeat(1_000)}${uid}`,
      `/${'-'.repeat(4_000)}${id}`,
      `/${':'.repeat(4_000)}`,
      `/${'user@'.repeat(800)}.service`,
    ]
    expect(cpuMsOf(() => slow.map(parseCgroupPath))).toBeLessThan(1_000)
  })
})

const nginx = '5be1ecc7935f1dd85635d4feedaf660594030253cc97c9e9ca3819ffeac36b65'
const slice = `kubepods-burstable-pod${uid.replaceAll('-', '_')}.slice`
const bestEffort = `/kubepods.slice/kubepods-besteffort.slice/${slice.replace('burstable', 'besteffort')}`

describe('findOutermostId()', () => {
  const other = id.replaceAll(id[0] ?? '', 'f')

  test.each([
    [`/kubepods/pod${uid}/${id}`, uid],
    [`/kubepods/pod${uid}/${id}/docker/${other}`, uid],
    [`/docker/${id}/kubelet/kubepods/pod${uid}/${other}`, id],
    [`/docker/${id}/docker/${other}`, id],
    [`/lxc.payload.web/pod${uid}/${id}`, 'web'],
    [`/user.slice/user-1000.slice/session-3.scope`, 'user-1000.slice'],
    [`/user.slice/user-1000.slice/session-4.scope`, 'user-1000.slice'],
    [`/user.slice/user-1000.slice/user@1000.service/kubepods/pod${uid}/${id}`, 'user-1000.slice'],
    [`/user.slice/user-1000.slice/user@1000.service/docker-${id}.scope`, 'user-1000.slice'],
    [`/user.slice/user-1000.slice/${id}/pod${uid}/${other}`, 'user-1000.slice'],
    [`/../user@1000.service/docker-${id}.scope`, 'user@1000.service'],
    [`/system.slice/ci.service/pod${uid}/${id}`, 'ci.service'],
    [`/system.slice/ci.service/lxc.payload.web/pod${uid}/${id}`, 'ci.service'],
    [`/system.slice/ci.service/jobs`, 'ci.service'],
    [`/system.slice/containerd.service/kubepods/pod${uid}/${id}`, uid],
    [`/system.slice/docker.service`, undefined],
    [`/machine.slice/systemd-nspawn@web.service/payload/docker-${id}.scope`, 'web'],
    [`/payments.slice`, undefined],
    ['/', undefined],
    [`/lxc.payload.web/user.slice/user-1000.slice/user@1000.service/pod${uid}/${id}`, 'web'],
  ])('of %s is %s', (path, outermost) => {
    expect(other).not.toBe(id)
    expect(findOutermostId(path)).toBe(outermost)
  })
})

describe('parseProcCgroup()', () => {
  const wanted = {
    'v2-only': `${bestEffort}/cri-containerd-${nginx}.scope`,
    'v2-only-root': '/',
    'v1-only-docker': `/docker/${nginx}`,
    'v1-only-session-of-a-login': '/user.slice/user-1000.slice/session-3.scope',
    'hybrid-service': '/system.slice/nginx.service',
    'hybrid-container-in-v1-only': `/kubepods/burstable/pod${uid}/${nginx}`,
    'hybrid-container-in-v1-v2-at-root': `/kubepods/burstable/pod${uid}/${nginx}`,
    'hybrid-only-memory-is-set': '/sandbox/vm-1',
    'private-namespace': `/../../pod${uid}/${nginx}`,
    'private-namespace-own': '/',
    'private-namespace-above-v2-at-root': `/docker/${nginx}`,
    removed: `${bestEffort}/cri-containerd-${nginx}.scope`,
    'colons-in-the-path': `/system.slice/containerd.service/${slice}:cri-containerd:${nginx}`,
  }

  test.each(Object.entries(wanted))('finds the telling path of %s', (name, path) => {
    expect(parseProcCgroup(read(`${name}.txt`))).toBe(path)
  })

  test('is tested with every recorded text', () => {
    const texts = readdirSync(fixtures).filter((name) => name.endsWith('.txt'))
    expect(texts.map((name) => name.replace('.txt', '')).sort()).toEqual(Object.keys(wanted).sort())
  })

  test('prefers v2, then systemd, pids and memory, where the lines say as much', () => {
    const lines = ['3:cpu:/a', '7:memory:/b', '5:pids:/c', '1:name=systemd:/d', '0::/e']
    const found = lines.map((_, at) => parseProcCgroup(lines.slice(0, at + 1).join('\n')))
    expect(found).toEqual(['/a', '/b', '/c', '/d', '/e'])
  })

  test('returns undefined where there is no line', () => {
    expect(parseProcCgroup('')).toBeUndefined()
    expect(parseProcCgroup('0::\nx:y:/z\nnonsense\n')).toBeUndefined()
  })
})
