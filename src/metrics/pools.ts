// Families about the pools of ports and when they run out: Snapshot -> samples.

import { defineFamily, type Family, perExporter, perPool, readableNamespaces } from './family.ts'

export const poolFamilies: readonly Family[] = [
  perPool({
    name: 'ephemeral_port_pool_capacity_ports',
    help: 'Ports that the pool can ever hand out.',
    details:
      'tcp_connect is the pool of connect() to one destination, which fails with EADDRNOTAVAIL. ' +
      'tcp_bind is that of bind() to port 0 and of listen() without bind(), which fail with ' +
      'EADDRINUSE. udp is that of sending or connecting without bind(), which fail with EAGAIN, ' +
      'and of bind() to port 0. tcp_bind and udp are judged on the wildcard addresses.',
    value: (pool) => pool.capacityPorts,
  }),
  perPool({
    name: 'ephemeral_port_pool_available_ports',
    help:
      'Allocations that will succeed from now on. For tcp_connect: to the destination with the ' +
      'fewest left.',
    details:
      "The exporter computes it from a listing of all sockets by the rules of the kernel's port " +
      'allocator. It is an upper bound where the kernel does not show that a connected socket ' +
      'was bound first, and where ephemeral_port_source_info says exactness=upper_bound.',
    value: (pool) => pool.availablePorts,
  }),
  perPool({
    name: 'ephemeral_port_pool_unused_ports',
    help:
      'Ports of the pool without any socket: the lower bound of ' +
      'ephemeral_port_pool_available_ports.',
    absent: 'for TCP where the reader cannot see bound sockets',
    details: 'The truth lies between this number and ephemeral_port_pool_available_ports.',
    value: (pool) => pool.unusedPorts,
  }),
  perPool({
    name: 'ephemeral_port_pool_uncertain_ports',
    help:
      'Ports counted as available of which it is not known whether bind() closed them: available may be too high by so many. ' +
      '0 where known. Absent for pools other than tcp_connect.',
    value: (pool) => pool.uncertainPorts,
  }),
  perPool({
    name: 'ephemeral_port_pool_utilization_ratio',
    help: '1 minus available divided by capacity, 0 to 1. At 1 the next allocation fails.',
    details:
      'For tcp_connect it is that of the destination that ' +
      'ephemeral_port_pool_worst_destination_info names.',
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
      'exhausted. For tcp_connect it is that of the worst destination. How it is computed: ' +
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
      'ephemeral_port_exhaustion_risk_ratio is absent. What it means in the last two minutes: ' +
      '[forecast.md](forecast.md).',
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
    help: 'Always 1. Names the source and the destination behind the values of tcp_connect.',
    absent: 'while nothing is connected',
    details:
      'The pools tcp_bind and udp have none. A device that the sockets are bound to follows the ' +
      'source as %index.',
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
]
