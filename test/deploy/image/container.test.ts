import { describe, expect, test } from 'vitest'
import { type Container, renderContainerCommand } from '../../../deploy/image/container.ts'

const container: Container = {
  rootfs: '/r',
  command: ['/nodejs/bin/node', '/app/dist/main.js', "--config.file=it's here"],
  environment: { NODE_ENV: 'production' },
  uid: 65534,
  gid: 65534,
  capabilities: [],
  noNewPrivileges: true,
  readOnlyRoot: true,
  hostNetwork: true,
  mounts: [],
}

const scriptOf = (change: Partial<Container>): string =>
  renderContainerCommand({ ...container, ...change }).at(-1) ?? ''

describe('renderContainerCommand()', () => {
  test('gives a network namespace of its own unless it shares that of the machine', () => {
    expect(renderContainerCommand(container)).not.toContain('--net')
    expect(renderContainerCommand({ ...container, hostNetwork: false })).toContain('--net')
  })

  test('keeps the capabilities named and drops every other', () => {
    const dropped = (capabilities: readonly string[]) =>
      /--drop=([a-z_,]+)/.exec(scriptOf({ capabilities }))?.[1]?.split(',') ?? []
    expect(dropped([])).toHaveLength(41)
    const some = dropped(['SYS_ADMIN', 'SYS_PTRACE'])
    expect(some).toHaveLength(39)
    expect(some).not.toContain('cap_sys_admin')
    expect(some).not.toContain('cap_sys_ptrace')
    expect(some).toContain('cap_dac_override')
  })

  test('refuses a capability that nobody knows', () => {
    expect(() => scriptOf({ capabilities: ['SYS_ADMN'] })).toThrow(
      'Cannot keep the unknown capability sys_admn',
    )
  })

  test('makes the root read-only after its mounts, and gives up rights after that', () => {
    const mounts = [{ source: '/proc', path: '/host/proc', readOnly: true, follows: false }]
    const script = scriptOf({ mounts })
    const order = [
      "mount --rbind '/proc' './host/proc'",
      "mount -o remount,bind,ro './host/proc'",
      'mount -o remount,bind,ro .\n',
      '--chroot=/r',
      '--uid=65534',
    ].map((text) => script.indexOf(text))
    expect(order).not.toContain(-1)
    expect(order).toEqual(order.toSorted((one, other) => one - other))
  })

  test('leaves a writable root writable', () => {
    expect(scriptOf({ readOnlyRoot: false })).not.toContain('mount -o remount,bind,ro .\n')
  })

  test('lets mounts follow the machine where asked to', () => {
    const mount = { source: '/run/netns', path: '/run/netns', readOnly: true }
    expect(scriptOf({ mounts: [{ ...mount, follows: true }] })).toContain('--make-rslave')
    expect(scriptOf({ mounts: [{ ...mount, follows: false }] })).toContain('--make-rprivate')
  })

  test('passes arguments and environment on as they are', () => {
    expect(scriptOf({})).toContain(`'--config.file=it'\\''s here'`)
    expect(scriptOf({})).toContain("env -i 'NODE_ENV=production'")
  })
})
