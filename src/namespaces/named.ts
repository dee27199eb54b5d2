// Namespaces that have a name in the file system: the directory where iproute2 and the runtimes of containers keep one
// file a namespace, bind-mounted (ip-netns(8)) -> names and inodes.

import { readdirSync, statSync } from 'node:fs'

export interface NamedFile {
  readonly name: string
  readonly path: string
  /** Of the namespace, as in /proc/<pid>/ns/net. */
  readonly inode: number
  /** Tells this namespace from an earlier one of the same name and inode: a kept file is made when its namespace is. */
  readonly key: string
}

/** Where iproute2 keeps them; CRI-O, containerd and Podman do too. */
export const NETNS_DIRECTORY = '/run/netns'

/** Empty where there is no such directory, or it may not be listed. Files that are no namespaces are left out. */
export function listNamedFiles(directory: string): readonly NamedFile[] {
  const device = deviceOf('/proc/thread-self/ns/net')
  let names: string[]
  try {
    names = readdirSync(directory)
  } catch {
    return []
  }
  return names.sort().flatMap((name) => {
    const path = `${directory}/${name}`
    try {
      const { ino, dev, ctimeMs } = statSync(path)
      // Left behind, or mounted where we cannot see it: an empty regular file.
      if (dev !== device) return []
      return [{ name, path, inode: ino, key: `${path} ${ino} ${ctimeMs}` }]
    } catch {
      return []
    }
  })
}

function deviceOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.dev
}
