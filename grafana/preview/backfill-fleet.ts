// The backfilled fleet: a size and a seed -> every series that the queries of dashboards and rules can ask for, as the exporters
// of 200 nodes with 100 namespaces each would have exported it and Prometheus stored it.

import type {
  BackfillSeries,
  Steps,
} from '../../test/support/prometheus/prometheus-remote-write.ts'
import { alertSeries, type Trouble } from './backfill-alerts.ts'
import { exporterSeries, foreignSeries } from './backfill-exporter.ts'
import { type Character, modelMoments } from './backfill-namespace.ts'
import { netnsSeries } from './backfill-netns.ts'

export interface FleetSize {
  readonly nodes: number
  readonly namespacesPerNode: number
}

export interface Target {
  readonly cluster: string
  readonly job: string
  readonly instance: string
}

export const FLEET: FleetSize = { nodes: 200, namespacesPerNode: 100 }
/** An hour; the end is an even moment of no meaning, so that the same fleet is the same bytes on every machine. */
export const HOUR: Steps = { startSeconds: 1_750_000_000 - 3600, stepSeconds: 60, count: 61 }
/** For an incident that is over. */
export const THREE_HOURS: Steps = { ...HOUR, startSeconds: 1_750_000_000 - 3 * 3600, count: 181 }
export const SEED = 1
export const JOB = 'ephemeral-port-exporter'

const TEAMS = ['checkout', 'search', 'payments', 'ads', 'identity', 'media', 'batch'] as const
const APPS = ['api', 'worker', 'gateway', 'sync', 'cron', 'cache'] as const

/** Whom an SRE should see first: by node and number on the node. The rest of the pods is quiet but for a few plateaus. */
const TROUBLES: ReadonlyMap<string, Character> = new Map([
  ['17/5', 'leak'],
  ['141/40', 'leak'],
  ['63/12', 'leak'],
  ['42/7', 'exhausted'],
  ['50/4', 'recovered'],
  ['88/3', 'bind-leak'],
  ['120/9', 'bind-leak'],
  ['5/21', 'close-wait'],
  ['177/66', 'close-wait'],
  ['31/2', 'udp'],
  ['150/11', 'udp'],
  ['9/90', 'unreadable'],
  ['133/8', 'unreadable'],
])
/** The exporter that stops answering ten minutes before the end. */
const LOST_NODE = 111
const LOST_AT_STEP = 50

export function target(node: number): Target {
  return {
    cluster: node % 2 === 0 ? 'eu-west' : 'us-east',
    job: JOB,
    instance: `10.20.${Math.floor(node / 100)}.${10 + (node % 100)}:10132`,
  }
}

/** The namespace whose page the tests and pictures look at: the exhausted one, where every panel has something to show. */
export const SHOWN = { node: 42, number: 7 } as const

/** The namespace that was exhausted for a while and is well again. */
export const RECOVERED = { node: 50, number: 4 } as const

export function netnsName(node: number, number: number): string {
  const { namespace, pod } = podOf(node, number)
  return number === 0 ? 'host' : `pod/${namespace}/${pod}`
}

function podOf(node: number, number: number) {
  const pick = <T>(list: readonly T[], by: number): T | undefined => list[by % list.length]
  const namespace = pick(TEAMS, number * 3 + node) ?? ''
  const app = pick(APPS, number) ?? ''
  return { namespace, pod: `${app}-${(node * 1000 + number).toString(36)}x${number}` }
}

function characterOf(node: number, number: number): Character {
  if (number === 0) return 'host'
  return (
    TROUBLES.get(`${node}/${number}`) ?? ((node * 7 + number) % 97 === 13 ? 'plateau' : 'quiet')
  )
}

export function* modelFleet(size: FleetSize, steps: Steps, seed: number): Iterable<BackfillSeries> {
  for (let node = 0; node < size.nodes; node++) {
    const lost = node === LOST_NODE ? LOST_AT_STEP : Number.POSITIVE_INFINITY
    const exporter = { target: target(node), seed: seed + node, steps, lostAtStep: lost }
    yield* exporterSeries(exporter, size.namespacesPerNode)
    if (node === SHOWN.node) yield* foreignSeries(exporter.target)
    for (let number = 0; number < size.namespacesPerNode; number++) {
      const character = characterOf(node, number)
      const ownSeed = seed * 7919 + node * 1009 + number
      const moments = modelMoments(character, ownSeed, steps)
      const pod = number === 0 ? undefined : podOf(node, number)
      const netns = netnsName(node, number)
      const series = netnsSeries({ netns, character, moments, pod, number, steps })
      for (const one of series) yield withTarget(one, exporter.target, lost)
      const trouble: Trouble = { character, moments, netns, number, pod }
      for (const one of alertSeries(trouble)) yield withTarget(one, exporter.target, lost)
    }
  }
}

function withTarget(
  { labels, valueAt }: BackfillSeries,
  { cluster, job, instance }: Target,
  lostAtStep: number,
): BackfillSeries {
  return {
    labels: { ...labels, cluster, job, instance },
    valueAt: (step) => (step >= lostAtStep ? undefined : valueAt(step)),
  }
}
