import { describe, expect, test } from 'vitest'
import { findCgroupRoot } from '../../src/owners/cgroup-root.ts'

const v1 = '39 31 0:36 / /sys/fs/cgroup/pids rw,relatime shared:14 - cgroup cgroup rw,pids'
const tmpfs = '31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755'

describe('findCgroupRoot()', () => {
  test.each([
    {
      name: 'unified host',
      lines: ['29 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate'],
      root: '/sys/fs/cgroup',
    },
    {
      name: 'hybrid host',
      lines: [tmpfs, v1, '41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw'],
      root: '/sys/fs/cgroup/unified',
    },
    { name: 'cgroup v1 alone', lines: [tmpfs, v1], root: undefined },
    {
      name: 'several optional fields',
      lines: ['29 22 0:26 / /cg rw shared:4 master:2 propagate_from:1 - cgroup2 none rw'],
      root: '/cg',
    },
    {
      name: 'no device name',
      lines: ['29 22 0:26 / /cg rw -  cgroup2  rw', '30 22 0:26 / /cg2 rw - cgroup2 - rw'],
      root: '/cg2',
    },
    {
      // Recorded on 6.18: `unshare --cgroup` three directories deep, then a mount of its own and a bind mount.
      name: 'tree of the host seen from a private namespace',
      lines: [
        '63 43 0:38 / /own rw,relatime - cgroup2 none rw',
        '64 43 0:38 /../.. /above rw,relatime - cgroup2 cgroup2 rw',
        '57 47 0:38 /../../.. /host/sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw',
        '65 43 0:38 /../../../other /sibling rw,relatime - cgroup2 cgroup2 rw',
      ],
      root: '/host/sys/fs/cgroup',
    },
    {
      name: 'only parts of the tree',
      lines: [
        '64 43 0:38 /system.slice/a.service/b /b rw - cgroup2 cgroup2 rw',
        '65 43 0:38 /system.slice /s rw - cgroup2 cgroup2 rw',
      ],
      root: '/s',
    },
    {
      name: 'two of the same',
      lines: [
        '29 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw',
        '88 22 0:26 / /var/lib/machine/cgroup rw - cgroup2 cgroup2 rw',
      ],
      root: '/sys/fs/cgroup',
    },
    {
      name: 'a mount hidden by a later one',
      lines: [
        '29 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw',
        '65 22 0:38 /system.slice /s rw - cgroup2 cgroup2 rw',
        '90 29 0:99 / /sys/fs/cgroup rw - tmpfs tmpfs rw',
      ],
      root: '/s',
    },
    {
      name: 'blanks and backslashes',
      lines: ['64 43 0:38 / /tmp/a\\040b\\134c\\011d rw - cgroup2 cgroup2 rw'],
      root: '/tmp/a b\\c\td',
    },
    {
      name: 'a directory called like the type',
      lines: ['64 43 8:1 / /srv/cgroup2 rw - ext4 /dev/cgroup2 rw'],
      root: undefined,
    },
  ])('finds the mount of $name', ({ lines, root }) => {
    expect(findCgroupRoot(`22 1 8:1 / / rw - ext4 /dev/sda1 rw\n${lines.join('\n')}\n`)).toBe(root)
  })

  test('returns undefined for what is no mount table', () => {
    expect(findCgroupRoot('')).toBeUndefined()
    expect(findCgroupRoot('cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n')).toBeUndefined()
  })
})
