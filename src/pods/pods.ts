// The answer to a list of pods: JSON of the Kubernetes API (v1 PodList) -> the little we keep of each pod.

import { isJsonObject, type JsonObject } from '../json-object.ts'
import type { Pod } from '../sample.ts'
import { PodListError } from './answer.ts'

/** What the kubelet sets on the copy of a static pod that it shows to the API server (kubelet/pod/mirror_client.go). */
const MIRROR = 'kubernetes.io/config.mirror'
const STATUS_LISTS = ['containerStatuses', 'initContainerStatuses', 'ephemeralContainerStatuses']
/** Longest name of an object (a DNS subdomain); nothing that we keep of a pod is longer. */
const LONGEST_NAME = 253
/** The longest list of reserved ports, every other port by itself, has 191,000 characters. */
const LONGEST_SYSCTL = 200_000

/**
 * An item that is no pod costs nothing but itself; a text that is no complete list throws PodListError `malformed`,
 * which never quotes it, since pods carry secrets in their environment.
 */
export function parsePodList(text: string): Pod[] {
  return withoutDoubles(asListedPods(text))
}

/** Parses as parsePodList() does, but keeps pods that are listed twice. */
export function asListedPods(text: string): readonly ListedPod[] {
  const list = parseObject(text)
  if (list === undefined) {
    throw new PodListError('malformed', `The list of pods is not JSON (${text.length} characters)`)
  }
  if (list.kind !== 'PodList') {
    const kind = JSON.stringify(String(list.kind).slice(0, 40))
    throw new PodListError('malformed', `Expected a PodList, got kind ${kind}`)
  }
  // Go writes an empty list as null.
  const items = list.items ?? []
  if (!Array.isArray(items)) {
    throw new PodListError('malformed', 'The items of the list of pods are not an array')
  }
  if (takeText(asObject(list.metadata).continue)) {
    throw new PodListError('malformed', 'The list of pods is only a part of the whole')
  }
  return items.map(asObject).flatMap(takePod)
}

export interface ListedPod {
  readonly mirror: boolean
  readonly pod: Pod
}

// A user who may create pods may also write annotations: a pod that claims to be the mirror of another must not take
// its name.
export function withoutDoubles(listed: readonly ListedPod[]): Pod[] {
  const pods = new Map<string, Pod>()
  for (const { pod } of listed.filter(({ mirror }) => mirror)) pods.set(pod.uid, pod)
  for (const { pod } of listed.filter(({ mirror }) => !mirror)) pods.set(pod.uid, pod)
  return [...pods.values()]
}

function takePod(item: JsonObject): ListedPod[] {
  const metadata = asObject(item.metadata)
  const spec = asObject(item.spec)
  const annotations = asObject(metadata.annotations)
  // The kubelet knows a static pod by a hash of its manifest and names its cgroup after that; the UID of the mirror is
  // one that the API server made up.
  const mirror = Object.hasOwn(annotations, MIRROR)
  const uid = takeText(mirror ? annotations[MIRROR] : metadata.uid)
  const namespace = takeText(metadata.namespace)
  const name = takeText(metadata.name)
  if (uid === undefined || namespace === undefined || name === undefined) return []
  const pod: Pod = {
    uid,
    namespace,
    name,
    portRange: takeSysctl(spec, 'net.ipv4.ip_local_port_range'),
    reservedPorts: takeSysctl(spec, 'net.ipv4.ip_local_reserved_ports'),
    containers: takeContainers(asObject(item.status)),
    addresses: spec.hostNetwork === true ? [] : takeAddresses(asObject(item.status)),
  }
  return [{ mirror, pod }]
}

function takeSysctl(spec: JsonObject, wanted: string): string | undefined {
  const entries = asObjects(asObject(spec.securityContext).sysctls)
  // Kubernetes takes slashes for dots.
  const entry = entries.find(({ name }) => takeText(name)?.replaceAll('/', '.') === wanted)
  return takeText(entry?.value, LONGEST_SYSCTL)
}

function takeContainers(status: JsonObject): Record<string, string> {
  const containers: Record<string, string> = {}
  for (const { containerID, name } of STATUS_LISTS.flatMap((list) => asObjects(status[list]))) {
    // containerd://, cri-o://, docker://; missing until the container has been started.
    const id = /^[\w.+-]+:\/\/([0-9a-f]{64})$/.exec(takeText(containerID) ?? '')?.[1]
    const named = takeText(name)
    if (id !== undefined && named !== undefined) containers[id] = named
  }
  return containers
}

/**
 * Takes at most one address of each family (core/v1 PodStatus). A pod that has ended keeps its own while others use it.
 */
function takeAddresses(status: JsonObject): string[] {
  if (status.phase === 'Succeeded' || status.phase === 'Failed') return []
  return asObjects(status.podIPs).flatMap(({ ip }) => takeText(ip) ?? [])
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function asObject(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {}
}

function asObjects(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : []
}

function takeText(value: unknown, longest = LONGEST_NAME): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= longest ? value : undefined
}
