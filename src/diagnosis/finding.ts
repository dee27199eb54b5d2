// A finding: something that will bite, and what it is judged from. One stands for all namespaces that have the same.
// Pure.

import type { Namespace, NamespaceState } from '../snapshot.ts'
import { type Entrance, openEntrance } from './entrance.ts'
import { type Severity, severityOf } from './severity.ts'

/** What a finding tells: that nothing is known of a namespace, that something is not known, or what will bite. */
export type Topic = 'unreadable' | 'unknown' | 'exposure'

export interface Finding {
  readonly severity: Severity
  readonly topic: Topic
  /** The namespaces that have it, in the order of the sample; empty for one of the whole machine. */
  readonly namespaces: readonly string[]
  readonly what: string
  /** Empty for what is ok. */
  readonly why: string
  /** What to change; empty where there is nothing to change. */
  readonly fix: string
  /** Commands for a shell on the node, as they are; each enters the first of the namespaces. */
  readonly commands: readonly string[]
}

/** What a Snapshot does not say. */
export interface HostFacts {
  /** The system, as Node names it: linux, darwin, win32. */
  readonly platform: string
  /** Ports that the exporter listens on, or would. */
  readonly listenPorts: readonly number[]
}

/** One namespace under examination. */
export interface Patient {
  readonly namespace: Namespace
  readonly state: NamespaceState
  /** When the sample was taken, in Unix seconds. */
  readonly takenAtSeconds: number
  /** The namespace in the sample before, undefined where there is none. */
  readonly earlier: Namespace | undefined
  readonly facts: HostFacts
  /** Whether some namespace is read by an exact reader: one then works on this machine. */
  readonly exactWorks: boolean
  /** Whether the program listens in this namespace. */
  readonly own: boolean
  /** Whether there are pods on this machine. */
  readonly hasPods: boolean
}

/** Looks at one exposure; says ok where there is none, and nothing where it cannot know. */
export type Check = (patient: Patient) => readonly Finding[]

export interface FindingParts {
  /** An exposure where nothing is said. */
  readonly topic?: Topic
  readonly what: string
  readonly why?: string
  readonly fix?: string
  /** Lines for that namespace; undefined stands for one that cannot be offered. */
  readonly commands?: (entrance: Entrance) => readonly (string | undefined)[]
}

/** Builds a finding; commands are Linux' and left out elsewhere. */
export function createFinding(
  { namespace, facts }: Patient,
  severity: Severity,
  { topic = 'exposure', what, why = '', fix = '', commands = () => [] }: FindingParts,
): Finding {
  const entrance = openEntrance(namespace)
  const lines = facts.platform === 'linux' ? commands(entrance) : []
  const lacks = lines.includes(undefined) ? entrance.missing : undefined
  return {
    severity,
    topic,
    namespaces: [namespace.netns],
    what,
    why,
    fix: lacks === undefined ? fix : `${fix} ${lacks}`,
    commands: lines.filter((line) => line !== undefined),
  }
}

/** Builds one of the whole machine: something that is not known, which nothing that could be typed here changes. */
export function createGap(severity: Severity, what: string, why = ''): Finding {
  return { severity, topic: 'unknown', namespaces: [], what, why, fix: '', commands: [] }
}

/** Worst first. What several namespaces have alike becomes one finding, with the commands of the first. */
export function joinFindings(findings: readonly Finding[]): readonly Finding[] {
  const joined = new Map<string, { readonly first: Finding; readonly namespaces: string[] }>()
  for (const first of findings) {
    const key = [first.severity, first.what, first.why, first.fix].join('\0')
    const known = joined.get(key)
    if (known === undefined) joined.set(key, { first, namespaces: [...first.namespaces] })
    else known.namespaces.push(...first.namespaces)
  }
  return [...joined.values()]
    .map(({ first, namespaces }) => ({ ...first, namespaces }))
    .toSorted((a, b) => severityOf(b.severity) - severityOf(a.severity))
}
