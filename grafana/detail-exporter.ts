// The folded row of the page of one namespace that tells how fresh, complete and cheap the exporter's word is.

import { namespaceGraph } from './graphs.ts'
import { ageScale, anyIsOdd, goodIfOne } from './scales.ts'
import type { Section } from './section.ts'
import { fleet, inNetns, ofExporters } from './selectors.ts'
import { tablePanel } from './tables.ts'

export function exporterSection(): Section {
  return {
    title: 'Can this be trusted: freshness, completeness and cost of the exporter',
    folded: true,
    panels: [
      namespaceGraph({
        title: 'Age of the data',
        description:
          'Since the last sample, and since the sockets of this namespace were last listed: older where a cheap look shows that nothing can be near exhaustion. ' +
          'Dashed: the sampling interval in force, stretched where the CPU budget asks for it.',
        width: 8,
        height: 8,
        unit: 's',
        queries: [
          {
            expr: `max(time() - ${fleet('ephemeral_port_last_sample_timestamp_seconds')})`,
            legend: 'last sample',
          },
          {
            expr: `max(time() - ${inNetns('ephemeral_port_netns_last_read_timestamp_seconds')})`,
            legend: 'this namespace read',
          },
          {
            expr: `max(${fleet('ephemeral_port_sample_interval_seconds')})`,
            legend: 'sampling interval',
          },
        ],
        dashed: 'sampling interval',
        runbook: 'EphemeralPortSamplesStale',
      }),
      namespaceGraph({
        title: 'Duration of a sample',
        description: 'By stage: discover the namespaces, read their sockets, model the pools.',
        width: 8,
        height: 8,
        unit: 's',
        stacked: true,
        queries: [
          {
            expr: `max by (stage) (${fleet('ephemeral_port_sample_duration_seconds')})`,
            legend: '{{stage}}',
          },
        ],
      }),
      namespaceGraph({
        title: 'Samples taken and lost',
        description:
          'Samples per second, and restarts of the thread that reads the kernel. Restarts should be none.',
        width: 8,
        height: 8,
        unit: 'cps',
        queries: [
          {
            expr: `sum(rate(${fleet('ephemeral_port_samples_total')}[$__rate_interval]))`,
            legend: 'samples',
          },
          {
            expr: `sum(rate(${fleet('ephemeral_port_worker_restarts_total')}[$__rate_interval]))`,
            legend: 'restarts of the worker',
          },
        ],
      }),
      namespaceGraph({
        title: 'Reads of namespaces that failed',
        description:
          'Per second and reason, of all namespaces of the instance. Each leaves a namespace without data.',
        legendRight: true,
        width: 8,
        height: 8,
        unit: 'cps',
        queries: [
          {
            expr: `sum by (reason) (rate(${fleet('ephemeral_port_netns_failures_total')}[$__rate_interval]))`,
            legend: '{{reason}}',
          },
        ],
        runbook: 'EphemeralPortNamespaceUnreadable',
      }),
      namespaceGraph({
        title: 'CPU',
        description:
          'CPU of the exporter, of one core. By default it samples less often rather than take more than 2 % (5 % while a pool is past half or at risk), plus what scrapes cost.',
        width: 8,
        height: 8,
        unit: 'percentunit',
        queries: [
          {
            expr: `sum(${ofExporters(`rate(${fleet('process_cpu_seconds_total')}[$__rate_interval])`)})`,
            legend: 'CPU',
          },
        ],
      }),
      namespaceGraph({
        title: 'Memory',
        description: 'Resident memory of the exporter, and the heap in use.',
        width: 8,
        height: 8,
        unit: 'bytes',
        queries: [
          {
            expr: `max(${ofExporters(fleet('process_resident_memory_bytes'))})`,
            legend: 'resident',
          },
          {
            expr: `max(${ofExporters(fleet('nodejs_heap_size_used_bytes'))})`,
            legend: 'heap in use',
          },
        ],
      }),
      tablePanel({
        title: 'Collectors',
        description: 'Whether each collector succeeded in the last sample, and how long it took.',
        width: 8,
        height: 7,
        unit: 'none',
        queries: [
          { expr: `min by (collector) (${fleet('ephemeral_port_scrape_collector_success')})` },
          {
            expr: `max by (collector) (${fleet('ephemeral_port_scrape_collector_duration_seconds')})`,
          },
        ],
        columns: [
          { label: 'collector' },
          {
            value: 0,
            title: 'Succeeds',
            unit: 'bool_yes_no',
            scale: goodIfOne,
            look: 'color',
            width: 110,
          },
          { value: 1, title: 'Takes', unit: 's', width: 110 },
        ],
        sortBy: [['Succeeds', 'asc']],
        runbook: 'EphemeralPortCollectorFailing',
      }),
      tablePanel({
        title: 'Series left out',
        description:
          'How many series of a family a cap (--top) keeps off the page of this namespace.',
        width: 8,
        height: 7,
        unit: 'none',
        queries: [{ expr: `sum by (family) (${inNetns('ephemeral_port_truncated_series')})` }],
        columns: [
          { label: 'family' },
          {
            value: 0,
            title: 'Left out',
            unit: 'locale',
            scale: anyIsOdd,
            look: 'color',
            width: 110,
          },
        ],
        sortBy: [['Left out', 'desc']],
      }),
      tablePanel({
        title: 'Reading this namespace',
        description:
          'Whether the last read succeeded, and how long ago it was. Where it failed nothing else is known.',
        width: 8,
        height: 7,
        unit: 'none',
        queries: [
          { expr: `min by (instance) (${inNetns('ephemeral_port_netns_success')})` },
          {
            expr: `max by (instance) (time() - ${inNetns('ephemeral_port_netns_last_read_timestamp_seconds')})`,
          },
        ],
        columns: [
          { label: 'instance' },
          {
            value: 0,
            title: 'Succeeds',
            unit: 'bool_yes_no',
            scale: goodIfOne,
            look: 'color',
            width: 110,
          },
          {
            value: 1,
            title: 'Age',
            unit: 's',
            decimals: 0,
            scale: ageScale,
            look: 'color',
            width: 110,
          },
        ],
        sortBy: [['instance', 'asc']],
        runbook: 'EphemeralPortNamespaceUnreadable',
      }),
    ],
  }
}
