// What a cgroup path says about who is in it: path -> systemd unit, container or pod; /proc/<pid>/cgroup -> the path.
// Pure. Paths are made by runtimes and systemd, not by the kernel; test/fixtures/cgroup-paths holds one of each kind.
// https://www.kernel.org/doc/html/latest/admin-guide/cgroup-v2.html and cgroups(7), "/proc/[pid]/cgroup".

import { findNamedContainer, type NamedRuntime } from './named-containers.ts'

export type ContainerRuntime = 'docker' | 'containerd' | 'cri-o' | 'podman' | NamedRuntime

export interface CgroupIdentity {
  readonly kind: 'unit' | 'container' | 'pod' | 'cgroup'
  /**
   * Unit name, first 12 digits of the container id or its name, behind `within` where there is one, pod UID; else the
   * path itself. Never empty.
   */
  readonly name: string
  /** A unit of a user's own manager carries that manager's: `user@1000.service/app.service`. */
  readonly unit?: string
  /** All 64 digits; the name where the runtime gives names. */
  readonly containerId?: string
  /**
   * Lower case with dashes. A static pod's 32 digits stay without: they are the kubelet's hash of the manifest, which
   * its mirror in the API carries as the annotation kubernetes.io/config.mirror, not as its UID.
   */
  readonly podUid?: string
  readonly runtime?: ContainerRuntime
  /**
   * The unit, user's slice or container that a container's cgroup lies in. Its owner may call cgroups in it like
   * those of anybody's containers, which they are not.
   */
  readonly within?: string
}

const SHORT_ID_DIGITS = 12

/** How people call a container: the first 12 digits of an id of 64, or all of a name. */
export function shortenContainerId(id: string): string {
  return /^[0-9a-f]{64}$/.test(id) ? id.slice(0, SHORT_ID_DIGITS) : id
}

const UNIT = /^[\w:.\\@-]+\.(?:service|scope|socket|mount|swap)$/

/** Units of the runtimes themselves: what they have made below is the node's. */
const RUNTIME_UNIT =
  /^(?:containerd|crio|cri-docker|docker|kubelet|k3s(?:-[\w-]+)?|rke2-(?:agent|server)|k0s(?:worker|controller)|snap\.microk8s\.daemon-(?:containerd|kubelite))\.service$|^runc-bpm-garden\.scope$|^(?:[\w.-]+_)?slurmstepd\.scope$|^pbs_jobs\.service$/

/** What stands before an id, or as the directory above it. */
const runtimes: Readonly<Record<string, ContainerRuntime>> = {
  docker: 'docker',
  'cri-containerd': 'containerd',
  'k8s.io': 'containerd',
  nerdctl: 'containerd',
  crio: 'cri-o',
  libpod: 'podman',
  'libpod-payload': 'podman',
}

/**
 * The outermost pod wins, then the container right inside it, or without a pod the outermost container: those are the
 * ones that the node's API server and runtime know. What a container's own systemd or Docker made below is part of it.
 * A user, a unit or a container may have pods and containers of its own: their names begin with whose they are, and a
 * user has no pods.
 */
export function parseCgroupPath(path: string): CgroupIdentity {
  const { parts, podUid, container, holder } = readPlaces(path)
  const pod = podUid === undefined || holder?.isUser ? {} : { podUid }
  if (container !== undefined) {
    const { at: _, ...told } = container
    const shortId = shortenContainerId(container.containerId)
    if (holder === undefined) return { kind: 'container', name: shortId, ...told, ...pod }
    const within = holder.name
    return { kind: 'container', name: `${within}/${shortId}`, ...told, ...pod, within }
  }
  if (podUid !== undefined && holder === undefined) return { kind: 'pod', name: podUid, podUid }
  if (holder?.container !== undefined) {
    const { at: _, ...told } = holder.container
    return { kind: 'container', name: holder.name, ...told }
  }
  const unit = findUnit(parts)
  if (unit !== undefined) return { kind: 'unit', name: unit, unit }
  return { kind: 'cgroup', name: path === '' ? '/' : path }
}

/**
 * The id of the outermost pod or container in a path, or the user's slice or the unit that it lies in; undefined
 * where there is none of them. A process in it can give the cgroups below any name, but cannot leave it.
 */
export function findOutermostId(path: string): string | undefined {
  const { parts, podUid, container, holder } = readPlaces(path)
  const id = podUid ?? container?.containerId
  return id === undefined ? findHolder(parts)?.outermostId : (holder?.outermostId ?? id)
}

interface Holder {
  readonly name: string
  /** Whether a user has it, or somebody in it. */
  readonly isUser: boolean
  /**
   * Finds, of the container, the unit and the user's slice the one that the others are in; all sessions of a user are
   * one.
   */
  readonly outermostId: string
  /** Undefined where it is none. */
  readonly container: Container | undefined
}

interface Places {
  readonly parts: readonly string[]
  readonly podUid: string | undefined
  /** The one in the pod, or without a pod the outermost. */
  readonly container: Container | undefined
  /** Who has what the pod, or without a pod the container, lies in. */
  readonly holder: Holder | undefined
}

function readPlaces(path: string): Places {
  const parts = splitPath(path)
  const podAt = parts.findIndex((part) => parsePodUid(part) !== undefined)
  const podUid = parsePodUid(parts[podAt] ?? '')
  const container = findContainer(parts, podAt + 1)
  const at = podUid === undefined ? container?.at : podAt
  const holder = at === undefined ? undefined : findHolder(parts.slice(0, at))
  return { parts, podUid, container, holder }
}

/** The outermost container or unit of those directories, or the slice of a user. */
function findHolder(around: readonly string[]): Holder | undefined {
  const names = around.map((part) => part.replace(/^_/, ''))
  const container = findContainer(around, 0)
  const isUnit = (name: string) => UNIT.test(name) && !RUNTIME_UNIT.test(name)
  const isUsers = (name: string) => /^user-\d+\.slice$|^user@.*\.service$/s.test(name)
  const users = names.find(isUsers)
  const isUser = users !== undefined
  const unitAt = names.findIndex(isUnit)
  const tenantAt = names.findIndex((name) => isUnit(name) || isUsers(name))
  const tenant = names[tenantAt]
  if (container !== undefined && (unitAt < 0 || container.at <= unitAt)) {
    const { at, containerId } = container
    const outermostId = tenant === undefined || at <= tenantAt ? containerId : tenant
    return { name: shortenContainerId(containerId), isUser, outermostId, container }
  }
  const name = names[unitAt] ?? users
  if (name === undefined || tenant === undefined) return undefined
  return { name, isUser, outermostId: tenant, container: undefined }
}

/**
 * The path that says most in the text of /proc/<pid>/cgroup; undefined where there is none. Normally the cgroup v2
 * line. On a hybrid host that line is `/`, or the runtime's own unit, while the container stands in the lines of cgroup
 * v1.
 */
export function parseProcCgroup(text: string): string | undefined {
  const lines = text.split('\n').flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/s.exec(line) ?? []
    // The kernel marks the cgroup of a process that outlived it (kernel/cgroup/cgroup.c:proc_cgroup_show).
    return path === undefined ? [] : [{ controllers, path: path.replace(/ \(deleted\)$/, '') }]
  })
  const ranked = lines.toSorted(
    (a, b) => tellingRank(b.path) - tellingRank(a.path) || lineOrder(a) - lineOrder(b),
  )
  return ranked[0]?.path
}

function tellingRank(path: string): number {
  if (splitPath(path).length === 0) return -1
  return ['cgroup', 'unit', 'pod', 'container'].indexOf(parseCgroupPath(path).kind)
}

/** v2, then the v1 hierarchies that are always populated, then any other. */
function lineOrder({ controllers }: { readonly controllers: string | undefined }): number {
  const order = ['', 'name=systemd', 'pids', 'memory'].indexOf(controllers ?? '')
  return order < 0 ? Number.MAX_SAFE_INTEGER : order
}

/** Seen from a private cgroup namespace, what lies outside of it begins with `/..` (cgroup_namespaces(7)). */
function splitPath(path: string): string[] {
  return path
    .split('/')
    .flatMap(expandSystemdForm)
    .filter((part) => part !== '' && part !== '..')
}

/**
 * `<slice>:<runtime>:<id>`, runc's notation for the systemd driver, becomes the name of a directory where runtime and
 * kubelet disagree about the driver; it means the slice and the scope in it.
 */
function expandSystemdForm(part: string): string[] {
  const [, slice = '', runtime, id] = /^([^:]*):([^:]+):([0-9a-f]{64})$/.exec(part) ?? []
  return id === undefined ? [part] : [slice, `${runtime}-${id}`]
}

/**
 * `pod<uid>`, `kubepods-burstable-pod<uid, underscores for dashes>.slice`, also below a prefix such as kind's
 * `kubelet-`.
 */
function parsePodUid(part: string): string | undefined {
  const match =
    /^(?:.+-)?pod([0-9a-f]{32}|[0-9a-f]{8}([-_])(?:[0-9a-f]{4}\2){3}[0-9a-f]{12})(?:\.slice)?$/is
  return match.exec(part)?.[1]?.toLowerCase().replaceAll('_', '-')
}

interface Container {
  readonly at: number
  readonly containerId: string
  readonly runtime?: ContainerRuntime
}

function findContainer(parts: readonly string[], from: number): Container | undefined {
  for (let at = from; at < parts.length; at++) {
    const [, prefix, containerId] =
      /^(?:(.+)-)?([0-9a-f]{64})(?:\.scope)?$/s.exec(parts[at] ?? '') ?? []
    const above = parts[at - 1] ?? ''
    // crio-conmon-<id>.scope and libpod-conmon-<id>.scope hold the container's monitor, not the container.
    const isMonitor = prefix !== undefined && /(?:^|-)conmon$/.test(prefix)
    // A bare id there is a Podman pod's; its containers below are libpod-<id>.
    const isPodmanPod = prefix === undefined && above === 'libpod_parent'
    if (containerId === undefined) {
      const named = findNamedContainer(parts, at)
      if (named !== undefined) return { at, ...named }
    }
    if (containerId === undefined || isMonitor || isPodmanPod) continue
    const runtime = runtimes[prefix ?? above]
    return runtime === undefined ? { at, containerId } : { at, containerId, runtime }
  }
  return undefined
}

/**
 * Reads a path as systemd's own cg_path_get_unit() and cg_path_get_user_unit() do: slices, then one unit; in the
 * manager of a user the same once more. What follows is the unit's own business: a container's nginx.service is not the
 * host's.
 */
function findUnit(parts: readonly string[]): string | undefined {
  const unit = findFirstUnit(parts)
  if (unit === undefined) return undefined
  if (!/^user@.*\.service$/s.test(unit.name)) return unit.name
  const inner = findFirstUnit(unit.below)
  return inner === undefined || inner.isSlice ? unit.name : `${unit.name}/${inner.name}`
}

function findFirstUnit(
  parts: readonly string[],
):
  | { readonly name: string; readonly isSlice: boolean; readonly below: readonly string[] }
  | undefined {
  // systemd puts a `_` before a unit that would clash with a file of the kernel's, such as `cpu.service`.
  const names = parts.map((part) => part.replace(/^_/, ''))
  const at = names.findIndex((name) => !name.endsWith('.slice'))
  if (at < 0) {
    const name = names.at(-1)
    return name === undefined ? undefined : { name, isSlice: true, below: [] }
  }
  const name = names[at] ?? ''
  return UNIT.test(name) ? { name, isSlice: false, below: parts.slice(at + 1) } : undefined
}
