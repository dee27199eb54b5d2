// Every network namespace of the machine: our own by the source itself, another one by the same source from inside it
// (setns), or where that may not be, by /proc/<pid>/net, whose readings are upper bounds.

import { readConntrackLimit } from '../kernel/conntrack-stat.ts'
import type { Libc } from '../kernel/libc.ts'
import { createEnterNamespace, type EnterNamespace, readNamespaceCookie } from '../kernel/netns.ts'
import { readSocketBound } from '../kernel/proc-sockstat.ts'
import { readPortSettings } from '../kernel/sysctl.ts'
import { readMakerUid } from '../kernel/user-namespaces.ts'
import { type NamespaceReading, SourceError } from '../observation.ts'
import { readDirectory, readEnteredNamespace } from '../sources/procfs.ts'
import { createDiscovery } from './discovery.ts'
import { type Namespaces, readConntrack, type SpecSettings } from './namespaces.ts'
import type { InsideView, NetNamespace } from './net-namespace.ts'
import { visibleInodeOf } from './processes.ts'

export interface NodeOptions {
  readonly procfs: string
  readonly netnsDirectory: string
  /** Whether `procfs` is of another PID namespace than ours. */
  readonly foreign: boolean
  readonly monotonicSeconds: () => number
  /** Enters namespaces, and reads the one that the calling thread is in; without it, all are read through /proc. */
  readonly entering: { readonly libc: Libc; readonly read: () => NamespaceReading } | undefined
}

const OWN_NET = '/proc/thread-self/net'
const OWN_SYS = '/proc/sys'

export function createNodeNamespaces(options: NodeOptions): Namespaces {
  const { procfs, entering } = options
  const enter = entering === undefined ? undefined : createEnterNamespace(entering.libc)
  const discovery = createDiscovery({
    ...options,
    inspect: (path) => (enter && entering ? inspect(enter, entering.libc, path) : undefined),
  })

  /** The limit of conntrack, the same for all namespaces: read once between two lists, from our own. */
  let conntrackLimit: { readonly limit: number | undefined } | undefined

  function callInside<T>(
    namespace: NetNamespace,
    call: () => T,
  ): { readonly value: T } | SourceError {
    if (enter === undefined || entering === undefined)
      return new SourceError(
        'permission',
        'Cannot enter the namespace: the source at work looks at others from outside',
      )
    let refused: SourceError | undefined
    let isOther = false
    for (const path of namespace.entrances) {
      let inside = false
      try {
        const result = enter(path, () => {
          inside = true
          return isSameNamespace(namespace, entering.libc) ? { value: call() } : undefined
        })
        if (result !== undefined) return result
        isOther = true
        refused ??= new SourceError('vanished', `Cannot read ${path}: it is another namespace now`)
      } catch (error) {
        if (inside || !(error instanceof SourceError)) throw error
        // A namespace that we may not enter can still be read through /proc, whatever became of the other entrances.
        if (refused === undefined || error.reason === 'permission') refused = error
      }
    }
    if (isOther) discovery.forget(namespace.id)
    return refused ?? new SourceError('vanished', 'Cannot enter the namespace: nothing leads there')
  }

  return {
    list() {
      conntrackLimit = undefined
      return discovery.list()
    },
    boundPorts(namespace) {
      const [pid] = namespace.pids
      if (namespace.own) return readSocketBound(OWN_NET)
      if (pid !== undefined) return readSocketBound(`${procfs}/${pid}/net`)
      const [path] = namespace.entrances
      if (enter === undefined || path === undefined) return undefined
      return enter(path, () => readSocketBound(OWN_NET))
    },
    readPortSettings(namespace) {
      const [path] = namespace.entrances
      if (namespace.own || enter === undefined || entering === undefined) return undefined
      if (path === undefined) return undefined
      return enter(path, () => {
        if (isSameNamespace(namespace, entering.libc)) return readPortSettings('/proc/sys')
        throw new SourceError(
          'vanished',
          `Cannot read the port settings: ${path} is another namespace now`,
        )
      })
    },
    read(namespace, use, readSpec) {
      const readHere = entering?.read ?? readEnteredNamespace
      if (namespace.own) return use(readHere())
      const result = callInside(namespace, () => use(readHere()))
      if (!(result instanceof SourceError)) return result.value
      const [pid] = namespace.pids
      if (pid === undefined || result.reason !== 'permission') throw result
      return use(readForeign(`${procfs}/${pid}/net`, namespace, readSpec?.()))
    },
    conntrack(namespace) {
      const [pid] = namespace.pids
      conntrackLimit ??= { limit: readConntrackLimit(OWN_SYS) }
      const { limit } = conntrackLimit
      if (namespace.own) return readConntrack(OWN_NET, limit)
      if (pid !== undefined) return readConntrack(`${procfs}/${pid}/net`, limit)
      const [path] = namespace.entrances
      if (enter === undefined || path === undefined) return undefined
      return enter(path, () => readConntrack(OWN_NET, limit))
    },
    inside(namespace, call) {
      if (namespace.own && entering !== undefined) return call()
      const result = callInside(namespace, call)
      if (result instanceof SourceError) throw result
      return result.value
    },
  }

  function readForeign(directory: string, namespace: NetNamespace, spec: SpecSettings | undefined) {
    const inode = visibleInodeOf(`${directory}/tcp`)
    if (namespace.netInode !== undefined && inode !== namespace.netInode) {
      if (inode !== undefined) discovery.forget(namespace.id)
      throw new SourceError('vanished', `Cannot read ${directory}: its process has left or ended`)
    }
    const netns = namespace.ofInit ? 'host' : 'self'
    return readDirectory(directory, { netns, settings: undefined, spec })
  }
}

function inspect(enter: EnterNamespace, libc: Libc, path: string): InsideView | undefined {
  try {
    return enter(path, () => view(libc))
  } catch (error) {
    if (error instanceof SourceError) return undefined
    throw error
  }
}

function view(libc: Libc): InsideView {
  return {
    inode: visibleInodeOf('/proc/thread-self/ns/net'),
    cookie: readNamespaceCookie(libc),
    netInode: visibleInodeOf(`${OWN_NET}/tcp`),
    makerUid: readMakerUid(libc),
  }
}

/**
 * Whether the thread is in the namespace that was meant: between discovery and reading a name, or a pid, may have
 * become another one's.
 */
function isSameNamespace({ cookie, netInode }: NetNamespace, libc: Libc): boolean {
  if (cookie !== undefined) return cookie === readNamespaceCookie(libc)
  return netInode === undefined || netInode === visibleInodeOf(`${OWN_NET}/tcp`)
}
