// Families about the pools of ports and when they run out: Snapshot -> samples.

import { causeNames, type Holder, holders, isCauseShown, type PoolName } from '../snapshot-pools.ts'
import { defineFamily, type Family, perExporter, perPool, readableNamespaces } from './family.ts'

/** UDP and NAT know no other states. */
const holdersOf: Readonly<Record<PoolName, readonly Holder[]>> = {
  tcp_connect: holders,
  tcp_bind: holders,
  udp: ['established', 'bound'],
  nat_tcp: ['established', 'time_wait'],
  nat_udp: ['established', 'time_wait'],
}

export const poolFamilies: readonly Family[] = [
  perPool({
    name: 'ephemeral_port_pool_capacity_ports',
    help: 'Ports that the pool can ever hand out.',
    details:
      'tcp_connect is the pool of connect() to one destination, which fails with EADDRNOTAVAIL. ' +
      'tcp_bind is that of bind() to port 0 and of listen() without bind(), which fail with ' +
      'EADDRINUSE. udp is that of sending or connecting without bind(), which fail with EAGAIN, ' +
      'and of bind() to port 0. tcp_bind and udp are judged on the wildcard addresses. nat_tcp and ' +
      'nat_udp are what a NAT address has for one destination, see docs/nat.md.',
    value: (pool) => pool.capacityPorts,
  }),
  perPool({
    name: 'ephemeral_port_pool_available_ports',
    help:
      'Allocations that will succeed from now on. For tcp_connect: to the destination with the ' +
      'fewest left.',
    details:
      "The exporter computes it from a listing of all sockets by the rules of the kernel's port " +
      'allocator. Where the kernel does not show that a connected socket was bound first, it may ' +
      'be too high by ephemeral_port_pool_uncertain_ports. Where ephemeral_port_source_info says ' +
      'exactness=upper_bound, nobody knows by how much.',
    value: (pool) => pool.availablePorts,
  }),
  perPool({
    name: 'ephemeral_port_pool_unused_ports',
    help:
      'Ports of the pool without any socket: the lower bound of ' +
      'ephemeral_port_pool_available_ports.',
    absent: 'for TCP where the reader cannot see bound sockets',
    details:
      'As a rule the truth lies between this number and ephemeral_port_pool_available_ports. The exceptions: ' +
      '[what cannot be known](reading-the-numbers.md#what-cannot-be-known).',
    value: (pool) => pool.unusedPorts,
  }),
  perPool({
    name: 'ephemeral_port_pool_uncertain_ports',
    help: 'Ports counted as available although the sockets do not show whether connect() can have them.',
    absent: 'for other pools than tcp_connect, where bound sockets cannot be seen',
    details:
      'ephemeral_port_pool_available_ports may be too high by so many, and by no more, but for the classes in ' +
      '[what cannot be known](reading-the-numbers.md#what-cannot-be-known). The number is 0 ' +
      'where the history of every port is known. The label exactness of ephemeral_port_source_info says how it is known. ' +
      'The kinds of connections that stay in doubt: [reading-the-numbers.md](reading-the-numbers.md#ports-in-doubt).',
    value: (pool) => pool.uncertainPorts,
  }),
  perPool({
    name: 'ephemeral_port_pool_utilization_ratio',
    help: '1 minus available divided by capacity, 0 to 1. At 1 the next allocation fails.',
    details: 'For tcp_connect it is that of the worst destination.',
    value: (pool) => pool.utilizationRatio,
  }),
  perPool({
    name: 'ephemeral_port_pool_utilization_peak_ratio',
    help: 'Highest ephemeral_port_pool_utilization_ratio in the trailing --sample.peak-window.',
    details: 'A burst between two scrapes is seen, and several scrapers see the same.',
    value: (pool) => pool.utilizationPeakRatio,
  }),
  perPool({
    name: 'ephemeral_port_pool_reclaimable_ports',
    help: 'TIME_WAIT ports that connect() may recycle now (net.ipv4.tcp_tw_reuse).',
    absent: 'for pools other than tcp_connect',
    details:
      'They are not counted as used. The number is that of the worst destination. Where no ' +
      'destination holds ports otherwise, it is the most that one destination has.',
    value: (pool) => pool.reclaimablePorts,
  }),
  perPool({
    name: 'ephemeral_port_pool_slow',
    help: '1 while connect() to the worst destination scans past all ports of one parity.',
    absent: 'for pools other than tcp_connect',
    details:
      'That begins at about half of the pool. Each connect() then costs milliseconds of CPU in ' +
      'the kernel. The value is 0 otherwise.',
    value: (pool) => (pool.slow === undefined ? undefined : Number(pool.slow)),
  }),
  perPool({
    name: 'ephemeral_port_exhaustion_risk_ratio',
    help:
      'Probability, 0 to 1, that an allocation fails within the horizon, estimated ' +
      'from arrivals, closes and TIME_WAIT timers.',
    absent: 'until enough was seen',
    details:
      'The horizon is ephemeral_port_forecast_horizon_seconds. The value is 1 when the pool is ' +
      'exhausted. For tcp_connect it is that of the worst destination. Of the TCP pools it is also absent below 0.2 where ' +
      'bound sockets cannot be seen (exactness=upper_bound), which may hold any port. How it is computed: ' +
      '[development/forecast.md](development/forecast.md).',
    experimental: true,
    value: (pool) => pool.riskRatio,
  }),
  perPool({
    name: 'ephemeral_port_exhaustion_eta_seconds',
    help:
      'Expected seconds until no port is available, estimated from arrivals, closes and ' +
      'TIME_WAIT timers.',
    absent: 'when no exhaustion is expected within a day',
    details:
      '0 when exhausted. It is also absent until enough was seen, which is the case where ' +
      'ephemeral_port_exhaustion_risk_ratio is absent. What it means: [forecast.md](forecast.md).',
    experimental: true,
    value: (pool) => pool.etaSeconds,
  }),
  perExporter({
    name: 'ephemeral_port_forecast_horizon_seconds',
    help: 'How far ephemeral_port_exhaustion_risk_ratio looks ahead (--forecast.horizon).',
    value: (snapshot) => snapshot.forecastHorizonSeconds,
  }),
  defineFamily({
    name: 'ephemeral_port_pool_worst_destination_info',
    type: 'gauge',
    help: 'Always 1. Names the worst destination of the pool, and its source.',
    absent: 'while nothing is connected',
    details:
      'The pools tcp_bind and udp have none. A device that the sockets are bound to follows the ' +
      'source as %index. The values of a pool are always those of its worst destination. A name ' +
      'stays while its destination is nearly as bad: it has at most 1 % of the capacity more ' +
      'available, and of a NAT at most 1 % of its own range more to hand out. When the pool is ' +
      'exhausted, the name is that of an exhausted one.',
    labels: ['netns', 'pool', 'source', 'destination'],
    *samples(snapshot) {
      for (const { netns, state } of readableNamespaces(snapshot)) {
        for (const { pool, worstDestination } of state.pools) {
          if (worstDestination === undefined) continue
          const { source, destination } = worstDestination
          yield { labels: { netns, pool, source, destination }, value: 1 }
        }
      }
    },
  }),
  defineFamily({
    name: 'ephemeral_port_pool_held_ports',
    type: 'gauge',
    help: 'Ports of the pool that are not available, by what holds them. Sums to capacity - available.',
    details:
      'Of tcp_connect these are the ports of the worst destination, and those that are closed to every connect(): ' +
      'bound, listener and hidden. hidden is a connection whose port was bound first, which no listing shows. ' +
      'The pool udp has established and bound only.',
    labels: ['netns', 'pool', 'holder'],
    *samples(snapshot) {
      for (const { netns, state } of readableNamespaces(snapshot)) {
        for (const { pool, heldPorts } of state.pools) {
          for (const holder of holdersOf[pool]) {
            const value = heldPorts[holder]
            yield { labels: { netns, pool, holder }, value }
          }
        }
      }
    },
  }),
  defineFamily({
    name: 'ephemeral_port_pool_cause_info',
    type: 'gauge',
    help: 'Always 1. Names what fills the pool and who holds most of it, as the status page does.',
    absent: 'for a pool below 80 % whose risk is below 0.2',
    details:
      `The cause is ${causeNames.slice(0, -1).join(', ')} or ${causeNames.at(-1)}. ` +
      'It changes only when another cause holds a tenth of the held ports more. The owner ' +
      'is that of the cause at the worst destination. Of tcp_bind, bind_before_connect may be inferred from the parity ' +
      'of ports.',
    labels: ['netns', 'pool', 'cause', 'owner'],
    *samples(snapshot) {
      for (const { netns, state } of readableNamespaces(snapshot)) {
        for (const pool of state.pools.filter(isCauseShown)) {
          if (pool.cause === undefined) continue
          const { cause, owners } = pool.cause
          const owner = owners[0]?.owner ?? 'unknown'
          yield { labels: { netns, pool: pool.pool, cause, owner }, value: 1 }
        }
      }
    },
  }),
]
