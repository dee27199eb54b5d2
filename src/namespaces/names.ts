// Names of namespaces: what is known of one -> the label netns, never given to two. Pure.

import { shortenContainerId } from '../owners/cgroup-path.ts'
import type { NetnsName } from '../snapshot.ts'

export interface NameFacts {
  /** `host` for the initial namespace, or the one that stands for it; `self` for our own otherwise. */
  readonly special: 'host' | 'self' | undefined
  readonly podUid: string | undefined
  readonly pod: { readonly namespace: string; readonly name: string } | undefined
  readonly containerId: string | undefined
  /** What iproute2 or a runtime calls it. */
  readonly names: readonly string[]
  readonly inode: number | undefined
  /** Its age since it was first seen. */
  readonly ageSeconds: number
  /** Age of the process in it that is known to be there longest. */
  readonly processAgeSeconds: number | undefined
  readonly podNames: PodNameProspect
}

/**
 * Whether the names of pods come: nobody is asked, nobody has answered or the last list failed, or the last list came.
 */
export type PodNameProspect = 'never' | 'doubtful' | 'likely'

/** How long a pod's series wait for a name that is likely to come. */
const PATIENCE_SECONDS = 30
/**
 * A runtime makes the namespace first and starts the process that tells whose it is later. The first list of pods takes
 * less than that, too.
 */
const STARTING_SECONDS = 1
const PATIENCE: Readonly<Record<PodNameProspect, number>> = {
  never: 0,
  doubtful: STARTING_SECONDS,
  likely: PATIENCE_SECONDS,
}
/** Made by containerd's CNI, CRI-O and Podman: such a name says less than the pod or container that will come. */
const RUNTIME_NAME = /^(cni-|netns-)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Whether a runtime of containers made that name of iproute2's kind. */
export function isRuntimeName(name: string): boolean {
  return RUNTIME_NAME.test(name)
}

/** Undefined while a better name is to be expected. */
export function chooseName(facts: NameFacts): NetnsName | undefined {
  const { special, podUid, pod, containerId, names, inode, ageSeconds } = facts
  if (special !== undefined) return { netns: special, netnsKind: special }
  const waited = ageSeconds >= PATIENCE_SECONDS
  if (pod !== undefined) return { netns: `pod/${pod.namespace}/${pod.name}`, netnsKind: 'pod' }
  if (podUid !== undefined) {
    return ageSeconds < PATIENCE[facts.podNames] ? undefined : nameByUid(podUid)
  }
  if (containerId !== undefined) {
    return { netns: `container/${shortenContainerId(containerId)}`, netnsKind: 'container' }
  }
  const [name] = names
  if (name !== undefined) {
    if (isRuntimeName(name) && !waited) return undefined
    return { netns: `named/${name}`, netnsKind: 'named' }
  }
  const age = Math.max(ageSeconds, facts.processAgeSeconds ?? 0)
  if (inode === undefined || age < STARTING_SECONDS) return undefined
  return { netns: `inode/${inode}`, netnsKind: 'inode' }
}

/** Whether a pod is only called by its UID, until its name is known. */
export function isNamedByUid({ netns }: NetnsName, podUid: string): boolean {
  return netns.split('~')[0] === nameByUid(podUid).netns
}

function nameByUid(podUid: string): NetnsName {
  return { netns: `pod/${podUid}`, netnsKind: 'pod' }
}

export interface NameRegister {
  /** The name itself, or with `~2`, `~3` ... behind it where an older namespace has it. */
  give(id: number, name: string): string
  /** Lets that name go. */
  take(name: string): void
  /** Lets the names of all others go. */
  retain(ids: ReadonlyMap<number, unknown>): void
}

/** Creates the register; it gives no name for which `isKept` says that it is kept for somebody. */
export function createNameRegister(isKept: (name: string) => boolean = () => false): NameRegister {
  const holders = new Map<string, number>()
  return {
    give(id, name) {
      let given = name
      for (let n = 2; holders.has(given) || isKept(given); n++) given = `${name}~${n}`
      holders.set(given, id)
      return given
    },
    take: (name) => holders.delete(name),
    retain(ids) {
      for (const [name, id] of holders) if (!ids.has(id)) holders.delete(name)
    },
  }
}
