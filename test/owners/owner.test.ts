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
})

describe('nameUser()', () => {
  test('gives the name where it is known, else the number', () => {
    const names = new Map([[33, 'www-data']])
    expect(nameUser(33, names)).toEqual({ owner: 'www-data', ownerKind: 'user' })
    expect(nameUser(4294967294, names)).toEqual({ owner: '4294967294', ownerKind: 'user' })
  })
})
