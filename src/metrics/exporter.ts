// Families about the exporter itself, process_* and nodejs_* excepted: Snapshot and Build -> samples.

import { defineFamily, type Family, perExporter } from './family.ts'

export const exporterFamilies: readonly Family[] = [
  perExporter({
    name: 'ephemeral_port_last_sample_timestamp_seconds',
    help: 'Unix time when the last sample ended. A scrape never triggers a sample.',
    details:
      'Everything on the page is from that moment. The exporter samples on a timer of its own, ' +
      'so that bursts between scrapes are seen.',
    value: (snapshot) => snapshot.takenAtSeconds,
  }),
  perExporter({
    name: 'ephemeral_port_sample_interval_seconds',
    help: 'Sampling interval in force, which --sample.cpu-budget may stretch.',
    details: 'It is --sample.interval, or longer while a sample costs more than the budget allows.',
    value: (snapshot) => snapshot.intervalSeconds,
  }),
  defineFamily({
    name: 'ephemeral_port_sample_duration_seconds',
    type: 'gauge',
    help: 'How long the stages of the last sample took: discover, read, model, other.',
    details:
      'discover finds the namespaces, read lists their sockets, model computes the numbers, other is ' +
      'the rest. Together they are the whole sample.',
    labels: ['stage'],
    *samples({ durations }) {
      yield { labels: { stage: 'discover' }, value: durations.discover }
      yield { labels: { stage: 'read' }, value: durations.read }
      yield { labels: { stage: 'model' }, value: durations.model }
      yield { labels: { stage: 'other' }, value: durations.other }
    },
  }),
  perExporter({
    name: 'ephemeral_port_sample_postponed_namespaces',
    help: 'Namespaces whose read was due, but for which the last sample had no time.',
    details:
      'They are read first in the next sample. What the page says of them is of ' +
      'ephemeral_port_netns_last_read_timestamp_seconds. It is not 0 for long where too many ' +
      'namespaces are busy, or cannot be read, for the CPU and the ten seconds that a sample may take.',
    value: (snapshot) => snapshot.leftOut?.postponed,
  }),
  perExporter({
    name: 'ephemeral_port_samples_total',
    type: 'counter',
    help: 'Samples taken since the exporter started.',
    value: (snapshot) => snapshot.samples,
  }),
  perExporter({
    name: 'ephemeral_port_worker_restarts_total',
    type: 'counter',
    help: 'How often the thread that reads the kernel died and was started again.',
    value: (snapshot) => snapshot.workerRestarts,
  }),
  defineFamily({
    name: 'ephemeral_port_scrape_collector_success',
    type: 'gauge',
    help: 'Whether a collector succeeded in the last sample, 1 or 0.',
    absent: 'for a collector that is switched off or was never permitted',
    labels: ['collector'],
    *samples(snapshot) {
      for (const { collector, success } of snapshot.collectors) {
        yield { labels: { collector }, value: Number(success) }
      }
    },
  }),
  defineFamily({
    name: 'ephemeral_port_scrape_collector_duration_seconds',
    type: 'gauge',
    help: 'How long a collector took in the last sample.',
    absent: 'for a collector that is switched off or was never permitted',
    labels: ['collector'],
    *samples(snapshot) {
      for (const { collector, durationSeconds } of snapshot.collectors) {
        yield { labels: { collector }, value: durationSeconds }
      }
    },
  }),
  defineFamily({
    name: 'ephemeral_port_exporter_build_info',
    type: 'gauge',
    help: 'Always 1. Version and revision of the exporter, and what it runs on.',
    labels: ['version', 'revision', 'nodeversion', 'platform', 'arch'],
    *samples(_snapshot, { version, revision, nodeVersion: nodeversion, platform, arch }) {
      yield { labels: { version, revision, nodeversion, platform, arch }, value: 1 }
    },
  }),
]
