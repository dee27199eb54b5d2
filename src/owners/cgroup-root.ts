// /proc/<pid>/mountinfo: text -> where the cgroup v2 tree is mounted. Pure; mirrors fs/proc_namespace.c:show_mountinfo.
// https://www.kernel.org/doc/html/latest/filesystems/proc.html, section 3.5.

interface Mount {
  readonly root: string
  readonly path: string
  readonly type: string
}

/**
 * The mount that shows most of the tree; undefined where there is none. Hybrid hosts have it at /sys/fs/cgroup/unified.
 * The root of a mount is written as seen from the reader's cgroup namespace: `/` is that namespace's own, and `/../..`
 * lies above it, which is how a container sees the host's /sys/fs/cgroup mounted into it (measured on 6.18).
 */
export function findCgroupRoot(mountinfo: string): string | undefined {
  // A later mount on the same directory hides the earlier one, whatever it is.
  const visible = new Map(
    mountinfo
      .split('\n')
      .flatMap(parseMount)
      .map((it) => [it.path, it]),
  )
  const trees = [...visible.values()].filter(({ type }) => type === 'cgroup2')
  return trees.toSorted((a, b) => compareRoots(a.root, b.root))[0]?.path
}

/** 36 35 98:0 /root /mount/point rw,noatime master:1 - type source rw,errors=continue */
function parseMount(line: string): Mount[] {
  const [, root, path, type] = /^\d+ \d+ \d+:\d+ (\S+) (\S+) .*?- (\S+) /.exec(line) ?? []
  if (root === undefined || path === undefined || type === undefined) return []
  return [{ root: unescapeOctal(root), path: unescapeOctal(path), type }]
}

/** Fewest directories down first, then most directories up. */
function compareRoots(a: string, b: string): number {
  return countParts(a, /^(?!\.\.$)./) - countParts(b, /^(?!\.\.$)./) || countUp(b) - countUp(a)
}

function countUp(root: string): number {
  return countParts(root, /^\.\.$/)
}

function countParts(root: string, kind: RegExp): number {
  return root.split('/').filter((part) => kind.test(part)).length
}

/** Space, tab, newline and backslash are written as octal numbers (fs/seq_file.c:mangle_path). */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}
