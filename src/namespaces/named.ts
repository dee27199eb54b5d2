// Namespaces that have a name in the file system: the directory where iproute2 and the runtimes of containers keep one
// file a namespace, bind-mounted (ip-netns(8)) -> names and inodes.

import { readdirSync, type Stats, statSync } from 'node:fs'

export interface NamedFile {
  readonly name: string
  readonly path: string
  /** Inode of the namespace, as in /proc/<pid>/ns/net. */
  readonly inode: number
  /** When the namespace was made, in whole Unix seconds, as stat(1) prints the change of the file. */
  readonly madeSeconds: number
  /** Tells this namespace from an earlier one of the same name and inode: a kept file is made when its namespace is. */
  readonly key: string
}

/** Where iproute2 keeps them; CRI-O, containerd and Podman do too. */
export const NETNS_DIRECTORY = '/run/netns'

/**
 * A directory that changed less than this before it was looked at may have changed once more at the same time stamp.
 */
const SETTLED_MS = 2000
/** Every so often all are looked at, whatever the directory says: once a minute. */
const LOOKS_TRUSTED = 12

/**
 * Creates the look at them: empty where there is no such directory, or it may not be listed; files that are no
 * namespaces are left out. A file of which `isHeld`, since a process is known to be in its namespace, is believed to be
 * what it was as long as the directory has not changed: a look costs 5 us, and a node has hundreds. The same files are
 * the same array.
 */
export function createNamedFiles(
  directory: string,
): (isHeld: (file: NamedFile) => boolean) => readonly NamedFile[] {
  let names: readonly string[] = []
  let files: readonly NamedFile[] = []
  let changedAtMs: number | undefined
  let looks = 0

  return (isHeld) => {
    const mtimeMs = lookAt(directory)?.mtimeMs
    const unchanged = mtimeMs !== undefined && mtimeMs === changedAtMs
    changedAtMs = isSettled(mtimeMs) ? mtimeMs : undefined
    if (!unchanged) names = listNames(directory)
    const trusted = unchanged && ++looks % LOOKS_TRUSTED !== 0
    if (trusted && files.length === names.length && files.every(isHeld)) return files
    const before = new Map(files.map((file) => [file.name, file]))
    const device = lookAt('/proc/thread-self/ns/net')?.dev
    files = names.flatMap((name) => {
      const known = before.get(name)
      if (known !== undefined && trusted && isHeld(known)) return [known]
      const path = `${directory}/${name}`
      const { ino, dev, ctimeMs = 0 } = lookAt(path) ?? {}
      // Left behind, or mounted where we cannot see it: an empty regular file.
      if (ino === undefined || dev !== device) return []
      return [
        {
          name,
          path,
          inode: ino,
          madeSeconds: Math.floor(ctimeMs / 1000),
          key: `${path} ${ino} ${ctimeMs}`,
        },
      ]
    })
    return files
  }
}

function isSettled(mtimeMs: number | undefined): boolean {
  return mtimeMs !== undefined && Math.abs(Date.now() - mtimeMs) > SETTLED_MS
}

function listNames(directory: string): readonly string[] {
  try {
    return readdirSync(directory).sort()
  } catch {
    return []
  }
}

function lookAt(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}
