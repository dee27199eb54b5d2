// A Prometheus server that has watched a fleet for an hour: written through remote write, with what the recording rules make of it,
// and kept on disk under a hash of everything it is made from, since making it takes a minute.

import { createHash } from 'node:crypto'
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import {
  type BackfillSeries,
  type Steps,
  writeSeries,
} from '../../test/support/prometheus/prometheus-remote-write.ts'
import type {
  Moment,
  PrometheusServer,
  Span,
} from '../../test/support/prometheus/prometheus-server.ts'
import { withPrometheusServer } from '../../test/support/prometheus/prometheus-server.ts'
import { listRecordings } from '../../test/support/prometheus/rules-files.ts'
import { type FleetSize, modelFleet } from './backfill-fleet.ts'

export interface Backfill {
  readonly size: FleetSize
  readonly steps: Steps
  readonly seed: number
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
/** What the data depends on, beside what this file does: VERSION is for that. */
const VERSION = 1
const INPUTS = [
  ...readdirSync(join(ROOT, 'grafana/preview'))
    .filter((name) => name.startsWith('backfill-'))
    .map((name) => join('grafana/preview', name)),
  'test/support/prometheus/prometheus-remote-write.ts',
  'src/metrics/detail.ts',
  'deploy/prometheus/recording.yaml',
]
// Nothing is too old to be accepted beside what is newest, and nothing is dropped for its age.
const WRITING = [
  '--web.enable-remote-write-receiver',
  '--web.enable-admin-api',
  '--storage.tsdb.min-block-duration=6h',
  '--storage.tsdb.max-block-duration=6h',
]
const KEEPING = ['--storage.tsdb.retention.time=50y']
const configuration = () => 'global: {}\n'

export function spanOf({ startSeconds, stepSeconds, count }: Steps): Span {
  return { startSeconds, endSeconds: startSeconds + stepSeconds * (count - 1), stepSeconds }
}

export function endOf(steps: Steps): Moment {
  return { atSeconds: spanOf(steps).endSeconds }
}

/** Lets `use` ask a server of its own with that fleet in it. `log` is told what takes its time. */
export async function withBackfilledServer<T>(
  backfill: Backfill,
  log: (line: string) => void,
  use: (server: PrometheusServer) => Promise<T>,
): Promise<T> {
  const cache = join(
    process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'),
    'ephemeral-port-exporter',
  )
  mkdirSync(cache, { recursive: true })
  const data = await prepareData(cache, backfill, log)
  // Several may read at once, but a server wants its directory for itself: each gets links to the same files.
  for (const left of readdirSync(cache).filter(isAbandoned)) {
    rmSync(join(cache, left), { recursive: true, force: true })
  }
  const own = mkdtempSync(join(cache, `reading-${process.pid}-`))
  try {
    linkFiles(data, own)
    return await withPrometheusServer({ configuration, dataDirectory: own, flags: KEEPING }, use)
  } finally {
    rmSync(own, { recursive: true, force: true })
  }
}

function linkFiles(from: string, to: string): void {
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isFile()) linkSync(source, target)
    else {
      mkdirSync(target)
      linkFiles(source, target)
    }
  }
}

/** Gives the data directory, which is made unless an earlier run has, or another is at it. */
async function prepareData(
  cache: string,
  backfill: Backfill,
  log: (line: string) => void,
): Promise<string> {
  const { size, steps } = backfill
  const kind = `backfill-${size.nodes}x${size.namespacesPerNode}x${steps.count}-`
  const name = `${kind}${hashInputs(backfill)}`
  const directory = join(cache, name)
  const building = `${directory}.building`
  while (!existsSync(directory)) {
    if (!claim(building)) {
      await delay(1000)
      continue
    }
    try {
      // Who was at it may have finished between our look and our claim.
      if (existsSync(directory)) continue
      const snapshot = await build(backfill, building, log)
      // Those of another size are asked as well.
      for (const old of readdirSync(cache).filter((other) => isOlder(other, kind))) {
        rmSync(join(cache, old), { recursive: true, force: true })
      }
      renameSync(snapshot, directory)
    } finally {
      rmSync(building, { recursive: true, force: true })
    }
  }
  return directory
}

/** Whether it is ours to build there. What a process that has ended left behind is cleared away. */
function claim(building: string): boolean {
  const owner = join(building, 'pid')
  try {
    mkdirSync(building)
    writeFileSync(owner, `${process.pid}`)
    return true
  } catch {
    // Neither file nor number: its owner has only just made the directory.
    const pid = existsSync(owner) ? Number(readFileSync(owner, 'utf8')) : 0
    if (pid > 0 && !existsSync(`/proc/${pid}`)) rmSync(building, { recursive: true, force: true })
    return false
  }
}

/** What a reader that was killed left behind. */
function isAbandoned(name: string): boolean {
  const pid = /^reading-(\d+)-/.exec(name)?.[1]
  return pid !== undefined && !existsSync(`/proc/${pid}`)
}

function isOlder(name: string, kind: string): boolean {
  return name.startsWith(kind) && /-[0-9a-f]+$/.test(name)
}

export function hashInputs(backfill: Backfill): string {
  const hash = createHash('sha256').update(JSON.stringify([VERSION, backfill]))
  for (const file of INPUTS) hash.update(file).update(readFileSync(join(ROOT, file)))
  return hash.digest('hex').slice(0, 16)
}

async function build(
  { size, steps, seed }: Backfill,
  building: string,
  log: (line: string) => void,
): Promise<string> {
  const data = join(building, 'data')
  const flags = [...WRITING, ...KEEPING]
  const options = { configuration, dataDirectory: data, flags }
  return await withPrometheusServer(options, async (server) => {
    const start = performance.now()
    const say = (text: string) =>
      log(`${text} after ${Math.round((performance.now() - start) / 1000)} s`)
    const written = await writeSeries(server.url, modelFleet(size, steps, seed), steps)
    say(`wrote ${written.series} series, ${written.samples} samples`)
    const recorded = await record(server, steps)
    say(`recorded ${recorded} series`)
    const snapshot = (await server.administer('/api/v1/admin/tsdb/snapshot')) as { name: string }
    say('took a snapshot')
    const taken = join(building, 'snapshot')
    renameSync(join(data, 'snapshots', snapshot.name), taken)
    return taken
  })
}

/** Evaluates the recording rules over all steps, in order, since later ones read earlier ones. */
async function record(server: PrometheusServer, steps: Steps): Promise<number> {
  let count = 0
  for (const rule of listRecordings()) {
    const answer = await server.query(rule.expr, spanOf(steps))
    const series = answer.map(({ metric, points }): BackfillSeries => {
      const byTime = new Map(points.map(([seconds, value]) => [seconds, Number(value)]))
      return {
        labels: { ...metric, ...rule.labels, __name__: rule.record },
        valueAt: (step) => byTime.get(steps.startSeconds + step * steps.stepSeconds),
      }
    })
    count += (await writeSeries(server.url, series, steps)).series
  }
  return count
}
