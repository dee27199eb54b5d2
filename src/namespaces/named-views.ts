// The files of named namespaces, and what each namespace looks like from inside. A file is looked into once.

import { groupByNumber } from './by-inode.ts'
import type { NamedFile } from './named.ts'
import type { InsideView } from './net-namespace.ts'
import type { Mark } from './processes.ts'

/** Finds files by the inode of ns/net, and by that of net/tcp inside. */
type FilesBy = Readonly<Record<Mark['by'], ReadonlyMap<number, readonly NamedFile[]>>>

export interface NamedViews {
  /** Takes the files that there are now. The same array as the last time costs nothing. */
  take(listed: readonly NamedFile[]): void
  files(): readonly NamedFile[]
  /** The files of the namespace with that mark. */
  filesOf(mark: Mark): readonly NamedFile[]
  /** Undefined where the namespace cannot be entered. */
  viewOf(file: NamedFile): InsideView | undefined
  /** Each of these may be another namespace's by now: the next take() looks into it again. */
  forget(files: readonly NamedFile[]): void
}

export function createNamedViews(inspect: (path: string) => InsideView | undefined): NamedViews {
  let files: readonly NamedFile[] = []
  let views: ReadonlyMap<string, InsideView | undefined> = new Map()
  let filesBy: FilesBy = { ns: new Map(), net: new Map() }
  const viewOf = ({ key }: NamedFile) => views.get(key)

  return {
    take(listed) {
      if (listed === files) return
      files = listed
      views = new Map(files.map((file) => [file.key, viewOf(file) ?? inspect(file.path)]))
      filesBy = {
        ns: groupByNumber(files, ({ inode }) => inode),
        net: groupByNumber(files, (file) => viewOf(file)?.netInode),
      }
    },
    files: () => files,
    filesOf: ({ by, inode }) => filesBy[by].get(inode) ?? [],
    viewOf,
    forget(wrong) {
      const unseen = new Set(wrong.map(({ key }) => key))
      views = new Map([...views].filter(([key]) => !unseen.has(key)))
      files = []
    },
  }
}
