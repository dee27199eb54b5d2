// The fleet overview, from "is anything wrong" down: what runs out, what fires, who uses the ports, how the exporters are.

import { failures, firingAlerts } from './overview-alerts.ts'
import { exporterSection, stateSection, usersSection } from './overview-fleet.ts'
import { courses, WITHOUT_BIND, worstPools } from './overview-pools.ts'
import { statPanel } from './panels.ts'
import { anyIsBad, anyRateIsBad, etaScale, utilizationScale } from './scales.ts'
import type { Section } from './section.ts'
import { EXPORTER, exportersUp, fleet, orZero } from './selectors.ts'

export function overviewSections(): readonly Section[] {
  return [
    { title: 'Is anything running out?', panels: [...stats(), worstPools()] },
    { title: 'What fires and what fails', panels: [firingAlerts(), failures(), ...courses()] },
    usersSection(),
    stateSection(),
    exporterSection(),
  ]
}

function stats() {
  const common = { width: 3, height: 4 }
  const left = fleet('instance_pool:ephemeral_port_pool_available_ports:min', WITHOUT_BIND)
  const ours = 'alertname=~"EphemeralPort.+"'
  const known = fleet('instance:ephemeral_port_netns_info:count')
  return [
    statPanel({
      ...common,
      title: 'Firing alerts',
      description:
        'Warning and critical alerts about ephemeral ports that fire now; below they are listed with their runbooks. ' +
        '"none seen": no such alert, not even for information, has been pending or firing for a day; either all is well, or Prometheus has not loaded alerts.yaml.',
      unit: 'none',
      queries: [
        {
          expr: orZero(
            `count(${fleet('ALERTS', ours, 'alertstate="firing"', 'severity!="info"')})`,
            `present_over_time(${fleet('ALERTS', ours)}[1d])`,
          ),
        },
      ],
      scale: anyIsBad,
      noValue: 'none seen',
    }),
    statPanel({
      ...common,
      title: 'Namespaces at risk',
      description:
        'Network namespaces where an allocation from tcp_connect or udp will sooner fail than not within the forecast horizon (15 minutes by default).',
      unit: 'none',
      queries: [
        { expr: `sum(${fleet('instance:ephemeral_port_exhaustion_risk_ratio:count_at_risk')})` },
      ],
      scale: anyIsBad,
      spark: true,
      runbook: 'EphemeralPortExhaustionPredicted',
    }),
    statPanel({
      ...common,
      title: 'Exhausted, instances',
      description:
        'Instances with a namespace where a pool has no port left: connect() to the worst destination, or the next UDP socket, fails now. tcp_bind is not counted.',
      unit: 'none',
      queries: [
        {
          expr: orZero(`count(count by (${EXPORTER}) (${left} == 0))`, left),
        },
      ],
      scale: anyIsBad,
      runbook: 'EphemeralPortExhausted',
    }),
    statPanel({
      ...common,
      title: 'Worst utilization',
      description:
        'Highest utilization of any pool tcp_connect or udp. At 100 % allocations fail; for tcp_connect those to the worst destination.',
      unit: 'percentunit',
      decimals: 1,
      max: 1,
      queries: [
        {
          expr: `max(${fleet('instance_pool:ephemeral_port_pool_utilization_ratio:max', WITHOUT_BIND)})`,
        },
      ],
      scale: utilizationScale,
      spark: true,
      runbook: 'EphemeralPortPoolAlmostFull',
    }),
    statPanel({
      ...common,
      title: 'Soonest exhaustion',
      description:
        'Shortest expected time until a pool is exhausted. "none ahead": no pool of tcp_connect or udp is heading there.',
      unit: 's',
      decimals: 0,
      queries: [
        {
          expr: `min(${fleet('instance_pool:ephemeral_port_exhaustion_eta_seconds:min', WITHOUT_BIND)})`,
        },
      ],
      scale: etaScale,
      noValue: 'none ahead',
      runbook: 'EphemeralPortExhaustionPredicted',
    }),
    statPanel({
      ...common,
      title: 'Failed allocations',
      description:
        'connect() calls per second that the kernel refused for want of a port, over five minutes. "not observed": no exporter can read tracefs, see the privileges in README.',
      unit: 'cps',
      queries: [
        { expr: `sum(${fleet('instance_pool:ephemeral_port_allocation_failures:rate5m')})` },
      ],
      scale: anyRateIsBad,
      spark: true,
      noValue: 'not observed',
      runbook: 'EphemeralPortAllocationsFailing',
    }),
    statPanel({
      ...common,
      title: 'Namespaces watched',
      description: 'Network namespaces that the chosen exporters see.',
      unit: 'locale',
      queries: [{ expr: `sum(${known})` }],
    }),
    statPanel({
      ...common,
      title: 'Exporters down',
      description:
        'Chosen exporters that have answered within a day and that Prometheus cannot scrape now. What they watch is missing from everything here.',
      unit: 'none',
      queries: [{ expr: orZero(`count((${exportersUp}) == 0)`, exportersUp) }],
      scale: anyIsBad,
      runbook: 'EphemeralPortExporterDown',
    }),
  ]
}
