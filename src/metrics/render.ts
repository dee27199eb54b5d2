// Renders a page with prom-client: Snapshot and Build -> a fresh registry -> text.
// NB: prom-client renames counters in place when it renders OpenMetrics, so a registry is rendered once, in one format.

import { Counter, Gauge, Registry } from 'prom-client'
import type { Build, Snapshot } from '../snapshot.ts'
import { takeDetail } from './detail.ts'
import { families } from './families.ts'
import type { Family, Sample } from './family.ts'

/** Text 0.0.4, or OpenMetrics 1.0.0. */
export type Format = 'text' | 'openmetrics'

/** Prometheus 3 refuses a page whose Content-Type is not exactly one it knows. */
export const contentTypes = {
  text: Registry.PROMETHEUS_CONTENT_TYPE,
  openmetrics: Registry.OPENMETRICS_CONTENT_TYPE,
} as const satisfies Record<Format, string>

/** The page without process_* and nodejs_*: the same Snapshot always gives the same text. */
export async function renderFamilies(
  snapshot: Snapshot,
  build: Build,
  format: Format,
): Promise<string> {
  const registry = createRegistry(format)
  addFamilies(registry, snapshot, build)
  return registry.metrics()
}

export function createRegistry(format: Format): Registry {
  // The declared type of a Registry is that of one content type; its methods do not differ.
  const registry = new Registry() as Registry & { setContentType(contentType: string): void }
  registry.setContentType(contentTypes[format])
  return registry
}

/** A family without any sample is left out: prom-client would print 0 for one without labels. */
export function addFamilies(registry: Registry, snapshot: Snapshot, build: Build): void {
  for (const family of families) {
    const samples = takeSamples(family, snapshot, build)
    if (samples.length > 0) addFamily(registry, family, samples)
  }
}

interface KnownSample extends Sample {
  readonly value: number
}

function takeSamples(family: Family, snapshot: Snapshot, build: Build): readonly KnownSample[] {
  const samples = [...family.samples(takeDetail(family, snapshot), build)].filter(
    // NaN and infinities are no knowledge either, and prom-client throws for a counter below 0.
    (sample): sample is KnownSample =>
      Number.isFinite(sample.value) && !(family.type === 'counter' && Number(sample.value) < 0),
  )
  return samples.sort((a, b) => compareLabels(family.labels, a, b))
}

function compareLabels(labels: readonly string[], a: Sample, b: Sample): number {
  for (const label of labels) {
    const [left, right] = [a.labels[label] ?? '', b.labels[label] ?? '']
    // Texts are compared by code unit, since localeCompare() depends on the machine, and numbers as numbers.
    if (left !== right) return left < right ? -1 : 1
  }
  return 0
}

function addFamily(registry: Registry, family: Family, samples: readonly KnownSample[]): void {
  const { name, help, labels } = family
  const options = { name, help, labelNames: labels, registers: [registry] }
  if (family.type === 'counter') {
    const counter = new Counter(options)
    for (const sample of samples) counter.inc(sample.labels, sample.value)
  } else {
    const gauge = new Gauge(options)
    for (const sample of samples) gauge.set(sample.labels, sample.value)
  }
}
