// The folded row of the page of one namespace that has the range, and what decides whether TIME_WAIT is reused.

import { namespaceGraph } from './graphs.ts'
import type { Section } from './section.ts'
import { inNetns } from './selectors.ts'
import { tablePanel } from './tables.ts'

export function rangeSection(): Section {
  const setting = (metric: string) => ({ expr: `max by (instance) (${inNetns(metric)})` })
  return {
    title: 'Range and settings',
    folded: true,
    panels: [
      namespaceGraph({
        title: 'Range utilization',
        description:
          'For capacity planning only: ports of the range held by anything. 100 % is healthy with many destinations, since TCP connections to different ones share ports.',
        width: 12,
        height: 8,
        unit: 'percentunit',
        max: 1,
        queries: [
          {
            expr: `max by (protocol) (${inNetns('ephemeral_port_range_utilization_ratio')})`,
            legend: '{{protocol}}',
          },
        ],
      }),
      namespaceGraph({
        title: 'Ports of the range in use',
        description:
          'Distinct ports held by any socket, against what the kernel may choose from (dashed).',
        width: 12,
        height: 8,
        unit: 'locale',
        queries: [
          {
            expr: `sum by (protocol) (${inNetns('ephemeral_port_used_ports')})`,
            legend: '{{protocol}}',
          },
          { expr: `sum(${inNetns('ephemeral_port_usable_ports')})`, legend: 'usable' },
        ],
        dashed: 'usable',
      }),
      tablePanel({
        title: 'Range and reserved ports',
        description:
          'net.ipv4.ip_local_port_range, the ports of net.ipv4.ip_local_reserved_ports that lie inside it, and where the exporter has that from.',
        width: 12,
        height: 4,
        unit: 'none',
        queries: [
          setting('ephemeral_port_range_first_port'),
          setting('ephemeral_port_range_last_port'),
          setting('ephemeral_port_range_ports'),
          setting('ephemeral_port_reserved_ports'),
          setting('ephemeral_port_usable_ports'),
          { expr: `max by (instance, range) (${inNetns('ephemeral_port_source_info')})` },
        ],
        columns: [
          { value: 0, title: 'First', unit: 'none' },
          { value: 1, title: 'Last', unit: 'none' },
          { value: 2, title: 'Ports', unit: 'none' },
          { value: 3, title: 'Reserved', unit: 'none' },
          { value: 4, title: 'Usable', unit: 'none' },
          { label: 'range', title: 'Known from' },
          { label: 'instance' },
        ],
        sortBy: [['instance', 'asc']],
      }),
      tablePanel({
        title: 'What decides whether TIME_WAIT is reused',
        description:
          'tcp_tw_reuse: 0 never, 1 yes, 2 on loopback only; without timestamps never. delay: age from which it may be, one second where the kernel has no such setting. max_tw_buckets: more are not kept.',
        width: 12,
        height: 4,
        unit: 'none',
        queries: [
          setting('ephemeral_port_tcp_tw_reuse'),
          setting('ephemeral_port_tcp_timestamps'),
          setting('ephemeral_port_tcp_tw_reuse_delay_seconds'),
          setting('ephemeral_port_tcp_max_tw_buckets'),
        ],
        columns: [
          { value: 0, title: 'tcp_tw_reuse', unit: 'none' },
          { value: 1, title: 'timestamps', unit: 'none' },
          { value: 2, title: 'delay', unit: 's' },
          { value: 3, title: 'max_tw_buckets', unit: 'locale' },
          { label: 'instance' },
        ],
        sortBy: [['instance', 'asc']],
      }),
    ],
  }
}
