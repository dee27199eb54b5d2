// What a quiet namespace has on the page: about 30 series, so that a node with 100 pods has a few thousand. A namespace
// is quiet while every pool is below --detail.min-utilization and no allocation has failed there.

import type { Snapshot } from '../snapshot.ts'
import type { Family } from './family.ts'

/** What alerts, joins and dashboards need of every namespace. All other families are of detailed namespaces only. */
export const briefFamilies: ReadonlySet<string> = new Set([
  'ephemeral_port_usable_ports',
  'ephemeral_port_used_ports',
  'ephemeral_port_blocked_ports',
  'ephemeral_port_listeners',
  'ephemeral_port_pool_capacity_ports',
  'ephemeral_port_pool_available_ports',
  'ephemeral_port_pool_utilization_ratio',
  'ephemeral_port_exhaustion_risk_ratio',
  'ephemeral_port_exhaustion_eta_seconds',
  'ephemeral_port_connections_opened_total',
  'ephemeral_port_allocation_failures_total',
  'ephemeral_port_probe_success',
  'ephemeral_port_netns_info',
  'ephemeral_port_netns_last_read_timestamp_seconds',
  'ephemeral_port_netns_success',
  'ephemeral_port_source_info',
])

/** The Snapshot as far as that family may show it. */
export function takeDetail(family: Family, snapshot: Snapshot): Snapshot {
  if (!isOfNamespaces(family) || briefFamilies.has(family.name)) return snapshot
  return { ...snapshot, namespaces: snapshot.namespaces.filter(({ detailed }) => detailed) }
}

/** Completes HELP by when the family is absent. The one place that knows about quiet namespaces adds them. */
export function explainAbsence(family: Family): Family {
  const isAlwaysThere = !isOfNamespaces(family) || briefFamilies.has(family.name)
  const reasons = [family.absent, isAlwaysThere ? undefined : 'for quiet namespaces']
  const absent = reasons.filter((reason) => reason !== undefined).join(', and ')
  return absent === '' ? family : { ...family, help: `${family.help} Absent ${absent}.` }
}

function isOfNamespaces({ labels }: Family): boolean {
  return labels.includes('netns')
}
