// The series of one namespace of the backfilled fleet: its moments -> what the exporter would have said of them. What a quiet
// namespace lacks is decided by the exporter's own list.

import { briefFamilies } from '../../src/metrics/detail.ts'
import type {
  BackfillSeries,
  Steps,
} from '../../test/support/prometheus/prometheus-remote-write.ts'
import { type Character, listens, type Moment, POOLS, USABLE_PORTS } from './backfill-namespace.ts'

export interface NetnsModel {
  readonly netns: string
  readonly character: Character
  readonly moments: readonly Moment[]
  readonly pod: { readonly namespace: string; readonly pod: string } | undefined
  readonly number: number
  readonly steps: Steps
}

type Row = readonly [
  name: string,
  labels: Readonly<Record<string, string>>,
  valueAt: (moment: Moment, step: number) => number | undefined,
]
type Pool = (typeof POOLS)[number]

const BACKENDS = [
  '10.96.0.10:53',
  '10.30.1.7:443',
  '10.30.1.8:443',
  '10.40.0.3:5432',
  '10.40.0.9:6379',
]

const CAUSES: Readonly<Partial<Record<Character, string>>> = {
  leak: 'open_leak',
  exhausted: 'churn',
  recovered: 'churn',
  'bind-leak': 'bound_idle',
  'close-wait': 'close_wait',
  udp: 'udp_sockets',
}

export function* netnsSeries(model: NetnsModel): Iterable<BackfillSeries> {
  const { netns, character, moments } = model
  const detailed = character !== 'quiet'
  const rows = character === 'unreadable' ? identityRows(model, 0) : allRows(model)
  for (const [name, labels, valueAt] of rows) {
    const metric = `ephemeral_port_${name}`
    if (!detailed && !briefFamilies.has(metric)) continue
    yield {
      labels: { __name__: metric, netns, ...labels },
      valueAt(step) {
        const moment = moments[step]
        return moment === undefined ? undefined : valueAt(moment, step)
      },
    }
  }
}

function* allRows(model: NetnsModel): Iterable<Row> {
  yield* identityRows(model, 1)
  yield* rangeRows(model)
  yield* poolRows(model)
  if (model.character === 'quiet') return
  yield* holderRows(model)
  yield* socketRows()
  if (model.character === 'exhausted') yield* natRows()
}

function* identityRows({ pod, netns, steps, number }: NetnsModel, success: 0 | 1): Iterable<Row> {
  const identity = pod === undefined ? {} : { namespace: pod.namespace, pod: pod.pod }
  yield ['netns_info', { netns_kind: netns === 'host' ? 'host' : 'pod', ...identity }, () => 1]
  yield ['netns_success', {}, () => success]
  if (success === 0) return
  yield ['source_info', { reader: 'netlink', exactness: 'exact', range: 'sysctl' }, () => 1]
  yield [
    'netns_last_read_timestamp_seconds',
    {},
    // Quiet ones are listed in turn.
    (_, step) => steps.startSeconds + step * steps.stepSeconds - (number % 13),
  ]
}

function* rangeRows({ number }: NetnsModel): Iterable<Row> {
  yield ['range_first_port', {}, () => 32_768]
  yield ['range_last_port', {}, () => 60_999]
  yield ['range_ports', {}, () => USABLE_PORTS]
  yield ['reserved_ports', {}, () => 0]
  yield ['usable_ports', {}, () => USABLE_PORTS]
  yield ['tcp_tw_reuse', {}, () => 2]
  yield ['tcp_timestamps', {}, () => 1]
  yield ['tcp_tw_reuse_delay_seconds', {}, () => 1]
  yield ['tcp_max_tw_buckets', {}, () => 262_144]
  for (const protocol of ['tcp', 'udp'] as const) {
    const used = (moment: Moment) => (protocol === 'tcp' ? moment.bindUsed : moment.udpUsed)
    yield ['used_ports', { protocol }, used]
    yield ['range_utilization_ratio', { protocol }, (moment) => used(moment) / USABLE_PORTS]
    yield ['inbound_sockets', { protocol }, () => 0]
    yield ['listeners', { protocol }, () => (protocol === 'tcp' && listens(number) ? 1 : 0)]
  }
  yield ['blocked_ports', { holder: 'listener' }, () => (listens(number) ? 1 : 0)]
  yield ['blocked_ports', { holder: 'bound' }, (moment) => moment.boundIdle]
  yield ['connections_opened_total', {}, (moment) => moment.opened]
  yield ['time_wait_recycled_total', {}, () => 0]
  yield ['allocation_failures_total', { pool: 'tcp_connect' }, (moment) => moment.failed]
}

function* poolRows({ character }: NetnsModel): Iterable<Row> {
  const used = (moment: Moment, pool: Pool) =>
    pool === 'udp' ? moment.udpUsed : pool === 'tcp_bind' ? moment.bindUsed : moment.connectUsed
  // What is forecast is forecast of the pool that the character is about.
  const isAbout = (pool: Pool) => pool === (character === 'udp' ? 'udp' : 'tcp_connect')
  for (const pool of POOLS) {
    const isExhausted = (moment: Moment) => used(moment, pool) >= USABLE_PORTS
    const ratio = (moment: Moment) => Math.min(1, used(moment, pool) / USABLE_PORTS)
    yield ['pool_capacity_ports', { pool }, () => USABLE_PORTS]
    yield ['pool_available_ports', { pool }, (moment) => USABLE_PORTS - used(moment, pool)]
    yield ['pool_unused_ports', { pool }, (moment) => USABLE_PORTS - moment.bindUsed]
    yield ['pool_utilization_ratio', { pool }, ratio]
    yield [
      'pool_utilization_peak_ratio',
      { pool },
      (moment, step) => Math.min(1, ratio(moment) + 0.004 + 0.02 * Math.abs(Math.sin(step * 1.7))),
    ]
    yield [
      'exhaustion_risk_ratio',
      { pool },
      (moment) => (isExhausted(moment) ? 1 : isAbout(pool) ? moment.risk : 0),
    ]
    yield [
      'exhaustion_eta_seconds',
      { pool },
      (moment) => (isExhausted(moment) ? 0 : isAbout(pool) ? moment.etaSeconds : undefined),
    ]
  }
  yield ['pool_reclaimable_ports', { pool: 'tcp_connect' }, () => 0]
  yield [
    'pool_slow',
    { pool: 'tcp_connect' },
    (moment) => (moment.connectUsed > 0.52 * USABLE_PORTS ? 1 : 0),
  ]
}

function* holderRows({ number, character, pod }: NetnsModel): Iterable<Row> {
  const source = pod === undefined ? '10.20.0.11' : `10.244.${number % 200}.${number + 3}`
  const worst = BACKENDS[(number * 3 + (character === 'leak' ? 1 : 2)) % BACKENDS.length] ?? ''
  yield [
    'pool_worst_destination_info',
    { pool: 'tcp_connect', source, destination: worst },
    () => 1,
  ]
  yield ['destinations', {}, (moment) => 12 + (moment.opened % 40)]
  const others = BACKENDS.filter((backend) => backend !== worst)
  for (const [rank, destination] of [worst, ...others].entries()) {
    const share = rank === 0 ? 1 : 0.06 / rank
    const own = { source, destination }
    yield ['destination_used_ports', own, (moment) => Math.round(moment.connectUsed * share)]
    yield ['destination_time_wait_ports', own, (moment) => Math.round(moment.timeWait * share)]
    yield [
      'destination_utilization_ratio',
      own,
      (moment) => (moment.connectUsed * share) / USABLE_PORTS,
    ]
  }
  const other = { source: 'other', destination: 'other' }
  yield ['destination_used_ports', other, (moment) => Math.round(moment.bindUsed * 0.05)]
  yield ['destination_time_wait_ports', other, (moment) => Math.round(moment.bindUsed * 0.02)]
  const owners = [
    [pod === undefined ? 'kube-proxy.service' : `${pod.namespace}/${pod.pod}/app`, 0.86],
    [pod === undefined ? 'containerd.service' : `${pod.namespace}/${pod.pod}/istio-proxy`, 0.1],
  ] as const
  for (const [owner, share] of owners) {
    const kind = owner.includes('/') ? 'container' : 'unit'
    const labels = { protocol: 'tcp', owner, owner_kind: kind }
    yield ['owner_used_ports', labels, (moment) => Math.round(moment.bindUsed * share)]
  }
  yield [
    'owner_used_ports',
    { protocol: 'tcp', owner: 'none', owner_kind: 'none' },
    (moment) => Math.round(moment.bindUsed * 0.04),
  ]
  yield [
    'owner_used_ports',
    { protocol: 'udp', owner: owners[0][0], owner_kind: 'container' },
    (moment) => moment.udpUsed,
  ]
  if (listens(number)) {
    yield [
      'listener_info',
      { protocol: 'tcp', port: '40123', owner: 'legacy-agent.service' },
      () => 1,
    ]
  }
  const held: Readonly<Record<string, (moment: Moment) => number>> = {
    established: (moment) => moment.established,
    time_wait: (moment) => moment.timeWait,
    close_wait: (moment) => moment.closeWait,
    bound: (moment) => moment.boundIdle,
  }
  for (const [holder, valueAt] of Object.entries(held)) {
    yield ['pool_held_ports', { pool: 'tcp_connect', holder }, valueAt]
  }
  yield ['pool_uncertain_ports', { pool: 'tcp_connect' }, () => 0]
  const cause = CAUSES[character]
  if (cause !== undefined) {
    const labels = { pool: character === 'udp' ? 'udp' : 'tcp_connect', cause, owner: owners[0][0] }
    yield [
      'pool_cause_info',
      labels,
      ({ connectUsed, udpUsed, risk }) =>
        Math.max(connectUsed, udpUsed) > 0.8 * USABLE_PORTS || risk > 0.2 ? 1 : undefined,
    ]
  }
  if (character === 'exhausted' || character === 'recovered') {
    const blame = { destination: worst, owner: owners[0][0] }
    yield ['destination_allocation_failures_total', blame, (moment) => moment.failed]
  }
}

function* socketRows(): Iterable<Row> {
  const states: Readonly<Record<string, (moment: Moment) => number>> = {
    established: (moment) => moment.established,
    time_wait: (moment) => moment.timeWait,
    close_wait: (moment) => moment.closeWait,
    bound: (moment) => moment.boundIdle,
    fin_wait2: (moment) => Math.round(moment.established * 0.01),
    syn_sent: (moment) => moment.failed % 7,
    listen: () => 0,
  }
  for (const [state, valueAt] of Object.entries(states)) {
    yield ['sockets', { protocol: 'tcp', state }, valueAt]
  }
  yield ['sockets', { protocol: 'udp', state: 'bound' }, (moment) => Math.round(moment.udpUsed / 3)]
  yield [
    'sockets',
    { protocol: 'udp', state: 'connected' },
    (moment) => moment.udpUsed - Math.round(moment.udpUsed / 3),
  ]
  for (const seconds of [1, 5, 15, 30, 60]) {
    yield [
      'time_wait_release_ports',
      { within_seconds: `${seconds}` },
      (moment) => Math.round((moment.timeWait * seconds) / 60),
    ]
  }
  for (const family of ['destinations', 'owners', 'listeners']) {
    yield [
      'truncated_series',
      { family: `ephemeral_port_${family}` },
      (moment) => moment.opened % 3,
    ]
  }
  for (const pool of ['tcp_bind', 'udp']) {
    yield ['probe_success', { pool }, () => 1]
    yield ['probe_duration_seconds', { pool }, (moment) => 0.00002 + (moment.opened % 9) * 1e-6]
  }
}

/** A gateway for other pods. */
function* natRows(): Iterable<Row> {
  yield ['conntrack_entries', {}, (moment) => 40_000 + (moment.opened % 900)]
  yield ['conntrack_limit_entries', {}, () => 262_144]
  for (const name of ['collisions', 'insert_failed', 'dropped', 'clashes_resolved']) {
    yield [`nat_${name}_total`, {}, (moment) => (name === 'collisions' ? moment.opened : 0)]
  }
  yield ['nat_drop_signature_info', { signature: 'races_or_small_range' }, () => 1]
  yield ['nat_failure_probability_ratio', { pool: 'nat_tcp' }, () => 0]
  const used = (moment: Moment) => 9000 + (moment.opened % 300)
  const destination = { protocol: 'tcp', source: '203.0.113.7', destination: '198.51.100.20:443' }
  yield ['nat_destination_used_ports', destination, used]
  const client = { protocol: 'tcp', client: '10.244.3.18', owner: 'batch/import-1' }
  yield ['nat_client_used_ports', { ...client, owner_kind: 'pod' }, used]
}
