import { describe, expect, test } from 'vitest'
import { parseCgroupPath } from '../../src/owners/cgroup-path.ts'
import { nameOwner, nameUser } from '../../src/owners/owner.ts'

const id = 'c0ffee123456'.padEnd(64, '7')
const uid = 'e8f4e951-6367-4c5b-ad38-6f67cb4b6bbf'

describe('nameOwner()', () => {
  test.each([
    ['/system.slice/nginx.service', 'nginx.service', 'unit'],
    [`/docker/${id}`, 'c0ffee123456', 'container'],
    [`/kubepods/pod${uid}`, uid, 'pod'],
    ['/lxc.payload.web', 'web', 'container'],
    ['/openrc.nginx', '/openrc.nginx', 'cgroup'],
  ] as const)('names %s by what it is', (path, owner, ownerKind) => {
    const containerNames = new Map([['c0ffee', 'not this one']])
    expect(nameOwner(parseCgroupPath(path), { containerNames })).toEqual({ owner, ownerKind })
  })

  test('prefers the name that Kubernetes gave the container', () => {
    const identity = parseCgroupPath(`/kubepods/pod${uid}/${id}`)
    const containerNames = new Map([[id, 'shop/checkout-1/app']])
    expect(nameOwner(identity, { containerNames })).toEqual({
      owner: 'shop/checkout-1/app',
      ownerKind: 'container',
    })
  })

  const victim = `kubepods-pod${uid.replaceAll('-', '_')}.slice/cri-containerd-${id}.scope`
  const user = '/user.slice/user-1000.slice/user@1000.service'
  const outer = 'f'.repeat(64)

  test.each([
    [`${user}/app.slice/${victim}`, 'user@1000.service/c0ffee123456'],
    [`${user}/app.slice/libpod-${id}.scope`, 'user@1000.service/c0ffee123456'],
    [`/user.slice/user-1000.slice/session-3.scope/${victim}`, 'session-3.scope/c0ffee123456'],
    [`/system.slice/ci.service/kubepods.slice/${victim}`, 'ci.service/c0ffee123456'],
    [`/system.slice/ci.service/docker/${id}`, 'ci.service/c0ffee123456'],
    [`/docker/${outer}/kubepods.slice/${victim}`, `${'f'.repeat(12)}/c0ffee123456`],
    [`/docker/${outer}/docker/${id}`, 'f'.repeat(12)],
    [`/lxc.payload.web/${victim}`, 'web/c0ffee123456'],
  ])('does not give the name of a container to %s', (path, owner) => {
    const containerNames = new Map([[id, 'shop/checkout-1/app']])
    for (const seen of [path, `/../..${path}`]) {
      const found = nameOwner(parseCgroupPath(seen), { containerNames })
      expect(found).toEqual({ owner, ownerKind: 'container' })
    }
  })

  test.each([
    [`${user}/app.slice/kubepods-pod${uid}.slice`, 'user@1000.service', 'unit'],
    [`/system.slice/ci.service/kubepods/pod${uid}`, 'ci.service', 'unit'],
    [`/docker/${outer}/kubepods/pod${uid}`, 'f'.repeat(12), 'container'],
  ] as const)('does not give the name of a pod to %s', (path, owner, ownerKind) => {
    const containerNames = new Map<string, string>()
    expect(nameOwner(parseCgroupPath(path), { containerNames })).toEqual({ owner, ownerKind })
  })

  test('cuts what is too long for a label, each in a way of its own', () => {
    const paths = ['x', 'y'].flatMap((end) => [
      `/tenant/${'d'.repeat(255)}${`/${'d'.repeat(254)}`.repeat(14)}${end}`,
      `${user}/app.slice/${'d'.repeat(246)}${end}.service`,
      `${user}/lxc.payload.${'d'.repeat(242)}${end}`,
    ])
    const owners = paths.map(
      (path) => nameOwner(parseCgroupPath(path), { containerNames: new Map() }).owner,
    )
    expect(new Set(owners).size).toBe(paths.length)
    expect(owners.map((owner) => owner.length)).toEqual(paths.map(() => 256))
  })
})

describe('nameUser()', () => {
  test('gives the name where it is known, else the number', () => {
    const names = new Map([[33, 'www-data']])
    expect(nameUser(33, names)).toEqual({ owner: 'www-data', ownerKind: 'user' })
    expect(nameUser(4294967294, names)).toEqual({ owner: '4294967294', ownerKind: 'user' })
  })
})
