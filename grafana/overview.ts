// The fleet overview, from "is anything wrong" down: what runs out, what fires, who uses the ports, how the exporters are.

import { failures, firingAlerts } from './overview-alerts.ts'
import { exporterSection, stateSection, usersSection } from './overview-fleet.ts'
import { natSection } from './overview-nat.ts'
import { courses, WITHOUT_BIND, worstEver, worstPools } from './overview-pools.ts'
import { named, statPanel } from './panels.ts'
import {
  anyIsBad,
  anyIsOdd,
  anyRateIsBad,
  etaScale,
  GREY,
  NOT_AHEAD,
  utilizationScale,
} from './scales.ts'
import type { Section } from './section.ts'
import { EXPORTER, exportersUp, fleet, orZero } from './selectors.ts'

/** Of what the recording rules record: nothing is known of the fleet without them, and that is no all-clear. */
const noValue = 'rules not loaded'
const WITHOUT_RULES = `"${noValue}": Prometheus has not loaded recording.yaml.`

export function overviewSections(): readonly Section[] {
  return [
    { title: 'Is anything running out?', panels: [...stats(), worstPools(), worstEver()] },
    { title: 'What fires and what fails', panels: [firingAlerts(), failures(), ...courses()] },
    usersSection(),
    stateSection(),
    natSection(),
    exporterSection(),
  ]
}

function stats() {
  const common = { width: 3, height: 4, decimals: 0, noValue }
  const left = fleet('instance_pool:ephemeral_port_pool_available_ports:min', WITHOUT_BIND)
  const used = fleet('instance_pool:ephemeral_port_pool_utilization_ratio:max', WITHOUT_BIND)
  const eta = fleet('instance_pool:ephemeral_port_exhaustion_eta_seconds:min', WITHOUT_BIND)
  const risk = fleet('instance_pool:ephemeral_port_exhaustion_risk_ratio:max', WITHOUT_BIND)
  const atRisk = fleet('instance:ephemeral_port_exhaustion_risk_ratio:count_at_risk')
  const unreadable = fleet('instance:ephemeral_port_netns_success:count_failed')
  const failed = fleet('instance_pool:ephemeral_port_allocation_failures:rate5m')
  const known = fleet('instance:ephemeral_port_netns_info:count')
  const ours = 'alertname=~"EphemeralPort.+"'
  const firing = fleet('ALERTS', ours, 'alertstate="firing"', 'severity!="info"')
  const anyAlert = `present_over_time(${fleet('ALERTS', ours)}[1d])`
  const nowAndEver = (now: string, ever: string) => [
    { expr: now, legend: 'now' },
    { expr: ever, legend: 'ever' },
  ]
  const exhausted = (series: string) => `count(count by (${EXPORTER}) (${series} == 0))`
  return [
    statPanel({
      ...common,
      title: 'Alerts',
      description:
        'Warning and critical alerts about ephemeral ports that fire, now and at any time shown (ever); they are listed below with their runbooks. ' +
        '"none seen": no such alert, not even for information, has been pending or firing for a day. Either all is well, or Prometheus has not loaded alerts.yaml.',
      unit: 'none',
      queries: nowAndEver(
        orZero(`count(${firing})`, anyAlert),
        orZero(`count(last_over_time(${firing}[$__range]))`, anyAlert),
      ),
      scale: anyIsBad,
      noValue: 'none seen',
    }),
    statPanel({
      ...common,
      title: 'At risk',
      description: `Network namespaces where an allocation from tcp_connect or udp will sooner fail than not within the forecast horizon (15 minutes by default). ${WITHOUT_RULES}`,
      unit: 'none',
      queries: nowAndEver(`sum(${atRisk})`, `sum(max_over_time(${atRisk}[$__range]))`),
      scale: anyIsBad,
      runbook: 'EphemeralPortExhaustionPredicted',
    }),
    statPanel({
      ...common,
      title: 'Exhausted',
      description: `Instances with a namespace where a pool has no port left: connect() to the worst destination, or the next UDP socket, fails. tcp_bind is not counted. ${WITHOUT_RULES}`,
      unit: 'none',
      queries: nowAndEver(
        orZero(exhausted(left), left),
        orZero(exhausted(`min_over_time(${left}[$__range])`), left),
      ),
      scale: anyIsBad,
      runbook: 'EphemeralPortExhausted',
    }),
    statPanel({
      ...common,
      title: 'Fullest pool',
      description: `Highest utilization of any pool tcp_connect or udp. At 100 % allocations fail, those of tcp_connect to the worst destination. ${WITHOUT_RULES}`,
      unit: 'percentunit',
      max: 1,
      queries: nowAndEver(`max(${used})`, `max(max_over_time(${used}[$__range]))`),
      scale: utilizationScale,
      runbook: 'EphemeralPortPoolAlmostFull',
    }),
    statPanel({
      ...common,
      title: 'Soonest',
      description: `Shortest expected time until a pool of tcp_connect or udp is exhausted. "none ahead": none is heading there. "not yet known": no exporter has seen enough to tell. ${WITHOUT_RULES}`,
      unit: 's',
      queries: [
        {
          expr: `min(${eta}) or ${NOT_AHEAD} + 0 * count(${risk}) or ${NOT_AHEAD - 1} + 0 * count(${known})`,
        },
      ],
      mappings: [named([NOT_AHEAD, 'none ahead', 'green'], [NOT_AHEAD - 1, 'not yet known', GREY])],
      scale: etaScale,
      runbook: 'EphemeralPortExhaustionPredicted',
    }),
    statPanel({
      ...common,
      title: 'Refused',
      description: `connect() calls per second that the kernel refused for want of a port, over five minutes; the second is the highest in the time shown. "not observed": no exporter can read tracefs, see docs/rights.md. ${WITHOUT_RULES}`,
      unit: 'cps',
      decimals: 1,
      queries: nowAndEver(
        `sum(${failed}) or ${NOT_AHEAD} + 0 * count(${known})`,
        `sum(max_over_time(${failed}[$__range])) or ${NOT_AHEAD} + 0 * count(${known})`,
      ),
      mappings: [named([NOT_AHEAD, 'not observed', GREY])],
      scale: anyRateIsBad,
      runbook: 'EphemeralPortAllocationsFailing',
    }),
    statPanel({
      ...common,
      title: 'Namespaces',
      description: `Network namespaces that the chosen exporters see, and those of them that cannot be read: nothing is known of their ports. ${WITHOUT_RULES}`,
      unit: 'locale',
      queries: [
        { expr: `sum(${known})`, legend: 'seen', color: 'text' },
        { expr: `sum(${unreadable})`, legend: 'unreadable' },
      ],
      scale: anyIsOdd,
      runbook: 'EphemeralPortNamespaceUnreadable',
    }),
    statPanel({
      ...common,
      title: 'Exporters',
      description:
        'Chosen exporters that answer Prometheus, and those that have answered within a day and do not now. What these watch is missing from everything here.',
      unit: 'none',
      queries: [
        { expr: `sum(${exportersUp})`, legend: 'answer', color: 'text' },
        { expr: orZero(`count((${exportersUp}) == 0)`, exportersUp), legend: 'do not' },
      ],
      scale: anyIsBad,
      noValue: 'none',
      runbook: 'EphemeralPortExporterDown',
    }),
  ]
}
