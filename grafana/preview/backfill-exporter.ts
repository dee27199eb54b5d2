// The series of the backfilled fleet that an exporter says of itself, and Prometheus of the exporter.

import { readErrorReasons } from '../../src/observation.ts'
import type {
  BackfillSeries,
  Steps,
} from '../../test/support/prometheus/prometheus-remote-write.ts'
import { createRandom } from './backfill-namespace.ts'

export interface ExporterModel {
  readonly target: Readonly<Record<'cluster' | 'job' | 'instance', string>>
  readonly seed: number
  readonly steps: Steps
  /** It does not answer from then on. */
  readonly lostAtStep: number
}

const COLLECTORS = [
  'sockets',
  'destinations',
  'owners',
  'listeners',
  'kubernetes',
  'failures',
  'nat',
]

type Row = readonly [
  name: string,
  labels: Readonly<Record<string, string>>,
  valueAt: (step: number) => number,
]

export function* exporterSeries(
  { target, seed, steps, lostAtStep }: ExporterModel,
  namespaces: number,
): Iterable<BackfillSeries> {
  const random = createRandom(seed)
  yield {
    labels: { __name__: 'up', ...target },
    valueAt: (step) => (step >= lostAtStep ? 0 : 1),
  }
  for (const [name, labels, valueAt] of rows(steps, namespaces, random())) {
    yield {
      labels: { __name__: name, ...target, ...labels },
      valueAt: (step) => (step >= lostAtStep ? undefined : valueAt(step)),
    }
  }
}

/** Another job of the same machine, as where `instance` is the name of the node: it is down, and eats what it can get. */
export function* foreignSeries(
  target: Readonly<Record<'cluster' | 'job' | 'instance', string>>,
): Iterable<BackfillSeries> {
  const own = { ...target, job: 'database' }
  const values: Readonly<Record<string, (step: number) => number>> = {
    up: () => 0,
    process_cpu_seconds_total: (step) => step * 60 * 7,
    process_resident_memory_bytes: () => 200 * 2 ** 30,
    nodejs_heap_size_used_bytes: () => 100 * 2 ** 30,
  }
  for (const [name, valueAt] of Object.entries(values)) {
    yield { labels: { __name__: name, ...own }, valueAt }
  }
}

function* rows(steps: Steps, namespaces: number, size: number): Iterable<Row> {
  const wave = (step: number) => 1 + 0.2 * Math.sin(size * 9 + step / 5)
  const own = (name: string) => `ephemeral_port_${name}`
  yield [
    own('exporter_build_info'),
    {
      version: size < 0.9 ? '0.1.0' : '0.0.9',
      revision: 'unknown',
      nodeversion: 'v24.11.0',
      platform: 'linux',
      arch: size < 0.8 ? 'x64' : 'arm64',
    },
    () => 1,
  ]
  yield [
    own('last_sample_timestamp_seconds'),
    {},
    (step) => steps.startSeconds + step * steps.stepSeconds - 1 - 4 * size,
  ]
  yield [own('sample_interval_seconds'), {}, () => (size > 0.95 ? 10 : 5)]
  yield [own('forecast_horizon_seconds'), {}, () => 900]
  for (const [stage, seconds] of [
    ['discover', 0.004],
    ['read', 0.05],
    ['model', 0.012],
  ] as const) {
    const cost = seconds * (0.5 + size) * (namespaces / 100)
    yield [own('sample_duration_seconds'), { stage }, (step) => cost * wave(step)]
  }
  yield [own('samples_total'), {}, (step) => 1000 + step * 12]
  yield [own('worker_restarts_total'), {}, () => 0]
  for (const reason of readErrorReasons) {
    const rate = reason === 'vanished' ? 2 : 0
    yield [own('netns_failures_total'), { reason }, (step) => step * rate]
  }
  for (const [index, collector] of COLLECTORS.entries()) {
    yield [own('scrape_collector_success'), { collector }, () => 1]
    yield [own('scrape_collector_duration_seconds'), { collector }, () => 0.002 * (1 + index)]
  }
  yield ['process_cpu_seconds_total', {}, (step) => step * 60 * (0.008 + 0.014 * size)]
  yield [
    'process_resident_memory_bytes',
    {},
    (step) => (78 + 14 * size) * 2 ** 20 * (1 + 0.02 * wave(step)),
  ]
  yield ['nodejs_heap_size_used_bytes', {}, (step) => (18 + 6 * size) * 2 ** 20 * wave(step)]
}
