// Stage "discover": /proc and the directory of named namespaces -> the network namespaces there are now, each with an
// id that is never given to another, although the kernel gives a freed inode away again at once
// (docs/development/port-model.md#threads-identity-and-owners).

import { readlinkSync } from 'node:fs'
import { readUptimeSeconds } from '../kernel/proc-stat.ts'
import { type InodeIndex, indexByInodes } from './by-inode.ts'
import { createNamedFiles, type NamedFile } from './named.ts'
import { createNamedViews } from './named-views.ts'
import type { InsideView, NetNamespace } from './net-namespace.ts'
import { entranceOf, type Look, placeFile, placeGroup } from './placing.ts'
import { createProcessScan, visibleInodeOf } from './processes.ts'
import { createKnown, type Known } from './recognize.ts'

export interface DiscoveryOptions {
  readonly procfs: string
  readonly netnsDirectory: string
  /** Whether `procfs` is of another PID namespace than ours. */
  readonly foreign: boolean
  readonly monotonicSeconds: () => number
  /** Looks from inside the namespace behind a file; undefined when it cannot be entered. */
  readonly inspect: (path: string) => InsideView | undefined
}

/** The one that is looked at may have left, or be another user's. */
const MOST_PIDS_TRIED = 3

export interface Discovery {
  /** Call it once a sample. Throws SourceError or DecodeError when procfs fails. */
  list(): readonly NetNamespace[]
  /**
   * What was found under that id turned out to be another namespace from inside: a process may move on twice between
   * two looks, into one that got the freed inode. The next list has it under an id of its own.
   */
  forget(id: number): void
}

/** Creates the look-out. */
export function createDiscovery(options: DiscoveryOptions): Discovery {
  const { procfs, inspect } = options
  const scan = createProcessScan(options)
  const self = readOwnPid(procfs)
  const listNamedFiles = createNamedFiles(options.netnsDirectory)
  const named = createNamedViews(inspect)
  let known: InodeIndex<Known> = indexByInodes([])
  let uptimeSeconds = 0
  /** Files of the namespaces that a process was seen in. */
  let held: ReadonlySet<NamedFile> = new Set()
  let lastId = 0
  const create: Look['create'] = (inode, view) => createKnown(++lastId, inode, view)

  function findOwn(): Known {
    const own = known.all.find((one) => one.own) ?? {
      ...create(lookAtOwn('ns/net'), {
        cookie: undefined,
        netInode: lookAtOwn('net/tcp'),
        makerUid: undefined,
      }),
      own: true,
    }
    own.pids = []
    own.files = named.filesOf({ by: 'ns', inode: own.inode ?? 0 })
    return own
  }

  return {
    list() {
      named.take(listNamedFiles((file) => held.has(file)))
      const groups = scan(new Set(known.all.flatMap((one) => one.watched?.pid ?? [])))
      const found = indexByInodes([findOwn()])
      const knownAtUptimeSeconds = uptimeSeconds
      const look = { procfs, named, inspect, known, knownAtUptimeSeconds, found, create }
      for (const by of ['ns', 'net'] as const) {
        for (const group of groups) if (group.mark.by === by) placeGroup(look, group)
      }
      const files = named.files()
      if (files.length > 0) {
        held = new Set(found.all.flatMap((one) => (one.watched || one.own ? one.files : [])))
        for (const file of files) if (!held.has(file)) placeFile(look, file)
      }
      known = found
      uptimeSeconds = readUptimeSeconds(procfs)
      return known.all.map((one) => describe(one, { ...options, uptimeSeconds, self }))
    },
    forget(id) {
      const wrong = known.all.find((one) => one.id === id && !one.own)
      if (wrong === undefined) return
      known = indexByInodes(known.all.filter((one) => one !== wrong))
      named.forget(wrong.files)
    },
  }
}

/** The number of this process in that procfs; undefined where it is not in it. */
export function readOwnPid(procfs: string): number | undefined {
  try {
    return Number(readlinkSync(`${procfs}/self`))
  } catch {
    return undefined
  }
}

/** The inode of a file of the namespace that this thread is in. */
function lookAtOwn(file: string): number | undefined {
  return visibleInodeOf(`/proc/thread-self/${file}`)
}

function describe(
  one: Known,
  {
    procfs,
    foreign,
    uptimeSeconds,
    self,
  }: DiscoveryOptions & { readonly uptimeSeconds: number; readonly self: number | undefined },
): NetNamespace {
  const { id, own, inode, netInode, cookie, makerUid, bornSeconds, files, watched } = one
  // This process leads nowhere once it has ended, which a command that only looks does at once.
  const others = one.pids.filter((pid) => pid !== watched?.pid && pid !== self)
  const pids = watched === undefined ? others : [watched.pid, ...others]
  return {
    id,
    own,
    ofInit: foreign && one.pids.includes(1),
    inode,
    netInode,
    cookie,
    makerUid,
    pids,
    bornSeconds,
    processAgeSeconds: watched && uptimeSeconds - watched.startSeconds,
    names: files.map(({ name }) => name),
    madeSeconds: files[0]?.madeSeconds,
    entrances: [
      ...files.map(({ path }) => path),
      ...pids.slice(0, MOST_PIDS_TRIED).map((pid) => entranceOf(procfs, pid)),
    ],
  }
}
