// Whose a namespace is and who holds its ports: ids -> names. The look-ups behind it, cgroup tree, users and the pods
// that the main thread tells, all live here; none of them ever waits.

import { existsSync, readdirSync, statSync } from 'node:fs'
import { readProcList } from '../kernel/proc-file.ts'
import { parsePortRange, parseReservedPorts } from '../kernel/sysctl.ts'
import type { PodNameProspect } from '../namespaces/names.ts'
import type { SpecSettings } from '../namespaces/namespaces.ts'
import { DecodeError, SourceError } from '../observation.ts'
import { type CgroupIdentity, parseCgroupPath } from '../owners/cgroup-path.ts'
import { findCgroupRoot } from '../owners/cgroup-root.ts'
import { type CgroupTree, createCgroupTree, MAX_DIRECTORIES } from '../owners/cgroup-tree.ts'
import { shortenLabel } from '../owners/label.ts'
import { nameOwner, nameUser } from '../owners/owner.ts'
import { createProgramFinder, readProgram, readRealUid } from '../owners/programs.ts'
import { createUserNames } from '../owners/user-names.ts'
import type { Pod, Sample } from '../sample.ts'
import type { CollectorSettings, SamplingSettings } from '../settings.ts'
import type { Namespace, OwnerName } from '../snapshot.ts'
import { identifyByCgroups } from './cgroup-identity.ts'
import { NO_PROGRAMS } from './last-read.ts'
import { type Identity, listSuspects, type Watched } from './watched.ts'

export interface NodeNames {
  /** Whether cgroup ids can be resolved. */
  readonly cgroups: boolean
  /** `answered`: whether the last list came. */
  setPods(pods: readonly Pod[], answered: boolean): void
  podNames(): PodNameProspect
  /** Fills in whose namespace it is, as far as that is known by now. */
  identify(identity: Identity): void
  /** What the spec of the pod says about its ports; undefined without a pod. */
  specOf(pod: Pod | undefined): SpecSettings | undefined
  /** Names owners of sockets of the namespace of that id. */
  nameOwnersOf(
    namespace: number,
  ): (by: 'cgroup' | 'user', ids: ReadonlySet<number>) => (id: number) => OwnerName | undefined
  /** Call it once a sample: forgets what only other namespaces than these needed. */
  retain(namespaces: ReadonlyMap<number, unknown>): void
  /** Names the pod that has that address for itself. */
  namePodAt(address: string): OwnerName | undefined
  /** Names the owner of a process by its cgroup, in the root cgroup by its user. */
  nameProcess(pid: number, cgroupPath: string): string
  /** The processes behind the owners of pools that are nearly full or at risk. */
  programsOf(one: Watched): Namespace['programs']
  collectors(): Sample['collectors']
  wanted(): Sample['wanted']
}

export interface NodeNamesOptions
  extends Pick<SamplingSettings, 'procfs' | 'cgroup'>,
    Pick<CollectorSettings, 'owners' | 'kubernetes'> {
  readonly monotonicSeconds: () => number
}

export function createNodeNames(options: NodeNamesOptions): NodeNames {
  const { procfs, kubernetes } = options
  const tree = options.owners ? openTree(options.cgroup) : undefined
  const userNames = createUserNames()
  const idsOf = new Map<number, ReadonlySet<number>>()
  const identities = new Map<string, CgroupIdentity>()
  let pods: ReadonlyMap<string, Pod> = new Map()
  let podNames: PodNameProspect = kubernetes ? 'doubtful' : 'never'
  let containerNames: ReadonlyMap<string, string> = new Map()
  let podsByAddress: ReadonlyMap<string, Pod> = new Map()
  let wantedPods = new Set<string>()
  let wantedContainers = new Set<string>()
  /** Problem of the last look at the tree. */
  let problem =
    options.owners &&
    options.cgroup !== undefined &&
    tree === undefined &&
    !hasOlderHierarchies(options.cgroup)
      ? `Cannot read the cgroup v2 tree: there is none at ${options.cgroup}; owners are users`
      : undefined
  let seconds = 0

  function want({ podUid, containerId }: Pick<CgroupIdentity, 'podUid' | 'containerId'>): void {
    if (!kubernetes || podUid === undefined) return
    const pod = pods.get(podUid)
    if (pod === undefined) wantedPods.add(podUid)
    else if (containerId !== undefined && !containerNames.has(containerId)) {
      wantedContainers.add(containerId)
    }
  }

  function refresh(cgroups: CgroupTree, ids: ReadonlySet<number>): void {
    const before = options.monotonicSeconds()
    try {
      if (cgroups.refresh(ids) !== 'idle') problem = undefined
    } catch (error) {
      if (!(error instanceof SourceError)) throw error
      problem = error.message
    }
    seconds += options.monotonicSeconds() - before
  }

  function nameCgroup(id: number): OwnerName | undefined {
    const path = tree?.resolve(id)
    return path === undefined ? undefined : namePath(path)
  }

  function namePath(path: string): OwnerName {
    let identity = identities.get(path)
    if (identity === undefined) {
      identity = parseCgroupPath(path)
      identities.set(path, identity)
    }
    if (identity.within === undefined) want(identity)
    return nameOwner(identity, { containerNames })
  }

  const programs = createProgramFinder({
    procfs,
    nameCgroup: namePath,
    nameUser: (uid) => nameUser(uid, userNames()),
  })

  return {
    cgroups: tree !== undefined,
    podNames: () => podNames,
    setPods(told, answered) {
      podNames = answered ? 'likely' : 'doubtful'
      pods = new Map(told.map((pod) => [pod.uid, pod]))
      containerNames = new Map(told.flatMap(nameContainers))
      podsByAddress = indexAddresses(told)
    },
    identify(identity) {
      const { name, namespace } = identity
      const [pid] = namespace.pids
      const isUnnamed = name === undefined || name.netnsKind === 'inode'
      // A program is what it is called when its namespace gets a name: the one before exec(2) says little.
      if (pid !== undefined && isUnnamed && (name === undefined || pid !== identity.oldest?.pid)) {
        identity.oldest = readProgram(procfs, pid)
        identity.uid = readRealUid(procfs, pid)
      }
      if (name === undefined && identity.podUid === undefined && !namespace.own) {
        identifyByCgroups(identity, procfs)
      }
      if (identity.podUid === undefined) return
      identity.pod ??= pods.get(identity.podUid)
      want({ podUid: identity.podUid })
    },
    specOf: (pod) => pod && readSpec(pod),
    nameOwnersOf: (namespace) => (by, ids) => {
      if (by === 'user') return (id) => nameUser(id, userNames())
      idsOf.set(namespace, ids)
      if (tree !== undefined) refresh(tree, ids)
      return nameCgroup
    },
    retain(namespaces) {
      for (const id of idsOf.keys()) if (!namespaces.has(id)) idsOf.delete(id)
      programs.renew()
      tree?.retain(new Set([...idsOf.values()].flatMap((ids) => [...ids])))
      if (identities.size > MOST_IDENTITIES) identities.clear()
    },
    namePodAt(address) {
      const pod = podsByAddress.get(address)
      return pod && { owner: shortenLabel(`${pod.namespace}/${pod.name}`), ownerKind: 'pod' }
    },
    nameProcess(pid, path) {
      const uid = path === '/' ? readUser(`${procfs}/${pid}`) : undefined
      return uid === undefined ? namePath(path).owner : nameUser(uid, userNames()).owner
    },
    programsOf({ identity, last }) {
      const owners = listSuspects(last.state)
      return owners.length === 0 ? NO_PROGRAMS : programs.find(identity.namespace.pids, owners)
    },
    collectors() {
      const told = problem ?? describeUnreached(tree)
      const success = told === undefined
      const row = { collector: 'owners', success, durationSeconds: seconds, problem: told }
      seconds = 0
      return options.owners ? [row] : []
    },
    wanted() {
      const wanted = { podUids: [...wantedPods], containerIds: [...wantedContainers] }
      wantedPods = new Set()
      wantedContainers = new Set()
      return wanted
    },
  }
}

/** Undefined where every cgroup that has sockets was looked for in the whole tree. */
function describeUnreached(tree: CgroupTree | undefined): string | undefined {
  const unreached = tree?.countUnreached() ?? 0
  if (unreached === 0) return undefined
  return `Cannot name ${unreached} cgroups with sockets: there are more than ${MAX_DIRECTORIES} cgroups`
}

/** Undefined when the process has ended. */
function readUser(path: string): number | undefined {
  try {
    return statSync(path).uid
  } catch {
    return undefined
  }
}

/** Maps a container's id to its full name, because several pods of a node have a container of one name. */
function nameContainers({ namespace, name, containers }: Pod): [string, string][] {
  return Object.entries(containers).map(([id, container]) => [
    id,
    `${namespace}/${name}/${container}`,
  ])
}

/** An address that a pod has left to the next is in both of them for a while, and names neither. */
function indexAddresses(pods: readonly Pod[]): ReadonlyMap<string, Pod> {
  const known = new Map<string, Pod>()
  const shared = new Set<string>()
  for (const pod of pods) {
    for (const address of pod.addresses) {
      if (known.has(address)) shared.add(address)
      known.set(address, pod)
    }
  }
  for (const address of shared) known.delete(address)
  return known
}

/** Parsed paths kept; they are parsed again when there were more. */
const MOST_IDENTITIES = 10_000

/** Undefined where the machine has no cgroup v2: sockets then go by their user. */
function openTree(cgroup: string | undefined): CgroupTree | undefined {
  const mounted = cgroup ?? findCgroupRoot(readProcList('/proc/thread-self/mountinfo') ?? '')
  if (mounted === undefined) return undefined
  // Hybrid hosts have it one level down.
  const root = [mounted, `${mounted}/unified`].find((path) =>
    existsSync(`${path}/cgroup.controllers`),
  )
  return root === undefined ? undefined : createCgroupTree({ root })
}

/** Whether cgroup v1 is all that is mounted below: each hierarchy has a directory, whose files v2 does not all have. */
function hasOlderHierarchies(cgroup: string): boolean {
  try {
    return readdirSync(cgroup).some((name) => existsSync(`${cgroup}/${name}/tasks`))
  } catch {
    return false
  }
}

/** A value that is none is left out: the kubelet would not have started such a pod. */
function readSpec({ portRange, reservedPorts }: Pod): SpecSettings {
  return {
    ...(portRange !== undefined && unlessMalformed(() => ({ range: parsePortRange(portRange) }))),
    ...(reservedPorts !== undefined &&
      unlessMalformed(() => ({
        reserved: parseReservedPorts(reservedPorts),
        reservedText: reservedPorts,
      }))),
  }
}

function unlessMalformed<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch (error) {
    if (error instanceof DecodeError) return undefined
    throw error
  }
}
