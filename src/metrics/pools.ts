// Families about the pools of ports and when they run out: Snapshot -> samples.

import { defineFamily, type Family, perExporter, perPool, readableNamespaces } from './family.ts'

export const poolFamilies: readonly Family[] = [
  perPool({
    name: 'ephemeral_port_pool_capacity_ports',
    help:
      'Ports the pool can ever hand out. Pools: tcp_connect for connect() to one destination, which fails with EADDRNOTAVAIL; ' +
      'tcp_bind for bind() to port 0 and listen() without bind(), which fail with EADDRINUSE; udp for sending or connecting ' +
      'without bind() (EAGAIN) and bind() to port 0. Both of the latter are judged on the wildcard addresses.',
    value: (pool) => pool.capacityPorts,
  }),
  perPool({
    name: 'ephemeral_port_pool_available_ports',
    help:
      'How many more allocations will succeed now; for tcp_connect to the destination with the fewest left. Computed from a ' +
      'listing of all sockets by the rules of the port allocator of the kernel. An upper bound where the kernel does not show that a ' +
      'connected socket was bound first, and where ephemeral_port_source_info says exactness=upper_bound.',
    value: (pool) => pool.availablePorts,
  }),
  perPool({
    name: 'ephemeral_port_pool_unused_ports',
    help:
      'Ports of the pool without any socket: the lower bound of ephemeral_port_pool_available_ports. Absent for TCP where the ' +
      'reader cannot see bound sockets (exactness=upper_bound).',
    value: (pool) => pool.unusedPorts,
  }),
  perPool({
    name: 'ephemeral_port_pool_utilization_ratio',
    help:
      '1 - available / capacity, 0 to 1. At 1 the next allocation fails; for tcp_connect to the destination named by ' +
      'ephemeral_port_pool_worst_destination_info.',
    value: (pool) => pool.utilizationRatio,
  }),
  perPool({
    name: 'ephemeral_port_pool_utilization_peak_ratio',
    help:
      'Highest ephemeral_port_pool_utilization_ratio of all samples in the trailing peak window (--sample.peak-window), so ' +
      'that a burst between two scrapes is seen, and seen alike by several scrapers.',
    value: (pool) => pool.utilizationPeakRatio,
  }),
  perPool({
    name: 'ephemeral_port_pool_reclaimable_ports',
    help:
      'Ports in TIME_WAIT that connect() may recycle now, as net.ipv4.tcp_tw_reuse and TCP timestamps allow: they are not ' +
      'counted as used. Those of the worst destination; where none holds ports otherwise, the most that one destination has. ' +
      'Absent for pools other than tcp_connect.',
    value: (pool) => pool.reclaimablePorts,
  }),
  perPool({
    name: 'ephemeral_port_pool_slow',
    help:
      '1 while connect() to the worst destination must scan past all ports of one parity, from about half of the pool on: each ' +
      'connect() then costs milliseconds of CPU in the kernel. 0 otherwise. Absent for pools other than tcp_connect.',
    value: (pool) => (pool.slow === undefined ? undefined : Number(pool.slow)),
  }),
  perPool({
    name: 'ephemeral_port_exhaustion_risk_ratio',
    help:
      'Probability, 0 to 1, that an allocation from the pool fails within ephemeral_port_forecast_horizon_seconds; 1 when it is ' +
      "exhausted. Of tcp_connect that of the worst destination. Estimated from arrivals, closes and the kernel's TIME_WAIT " +
      'timers; formula and assumptions in README. Absent until enough was seen to tell.',
    value: (pool) => pool.riskRatio,
  }),
  perPool({
    name: 'ephemeral_port_exhaustion_eta_seconds',
    help:
      'Expected time until no port is available; 0 when exhausted. Estimated from arrivals, closes and the ' +
      "kernel's TIME_WAIT timers; formula in README. Absent when the pool is not heading for exhaustion, which is known if " +
      'ephemeral_port_exhaustion_risk_ratio is present, and until enough was seen to tell.',
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
    help:
      'Always 1. Names the local address and the remote behind the values of the pool tcp_connect; a device the sockets are bound ' +
      'to follows the source as %index. Absent while nothing is connected, and for the other pools.',
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
