// What will bite in the NAT of a namespace: the range of each address against what is used, where that range comes
// from, and NodePorts inside it. Pure.

import type { NatRangeRow, NatState, Pool } from '../snapshot.ts'
import { renderPorts } from './commands.ts'
import { type Check, createFinding, type Finding, type Patient } from './finding.ts'
import { mayHaveNodePorts, NODE_PORTS, overlaps } from './range-plan.ts'
import { renderCount, renderPercent } from './words.ts'

/** From there on what a destination has is worth a change. */
const NOTABLE_RATIO = 0.5
/** What a rule without ports leaves to ordinary clients. */
const WIDEST_PORTS = 64_512

export const checkNat: Check = (patient) => {
  const { nat } = patient.namespace
  if (nat === undefined) return []
  return [
    ...nat.pools.map((pool) => checkUse(patient, pool, nat)),
    ...nat.ranges.flatMap((range) => [
      ...checkOrigin(patient, range, nat),
      ...checkNodePorts(patient, range, nat),
    ]),
  ]
}

/** What can be had at the worst destination against what is. */
function checkUse(patient: Patient, pool: Pool, { ranges }: NatState): Finding {
  const { capacityPorts, availablePorts, worstDestination: worst } = pool
  const protocol = pool.pool === 'nat_tcp' ? 'TCP' : 'UDP'
  const used = capacityPorts - availablePorts
  if (worst === undefined || used < capacityPorts * NOTABLE_RATIO) {
    return createFinding(patient, 'ok', {
      what: `no destination has half of the ${renderCount(capacityPorts, `${protocol} port`)} of a NAT address`,
    })
  }
  return createFinding(patient, 'warning', {
    what:
      `${worst.destination} has ${used} of the ${renderCount(capacityPorts, `${protocol} port`)} ` +
      `(${renderPercent(used / capacityPorts)}) that the NAT address ${worst.source} may use for it`,
    why:
      'A connection that finds no port is dropped without an error, and its client hangs. In a range of more than ' +
      '128 ports that begins before the last one is taken.',
    fix: adviseAgainst(capacityPorts, listedSize(ranges, protocol, worst.source)),
  })
}

/** How many ports the range of that address has; undefined where it is not listed. */
function listedSize(
  ranges: NatState['ranges'],
  protocol: 'TCP' | 'UDP',
  source: string,
): number | undefined {
  const [address] = source.split('%')
  const range = ranges.find(
    (one) => one.source === address && one.protocol === protocol.toLowerCase(),
  )
  return range && range.lastPort - range.firstPort + 1
}

/** A pool smaller than every range that a rule may have named is that of low ports. */
function adviseAgainst(capacityPorts: number, listedPorts = capacityPorts): string {
  if (capacityPorts >= WIDEST_PORTS) {
    return 'Translate to more addresses, or let the clients keep connections open and share them.'
  }
  return capacityPorts < listedPorts
    ? 'Let the clients use ports from 1024 on: those below have a small range of their own. Or translate to more addresses.'
    : 'Widen the range of ports in the rule or name none in it, or translate to more addresses.'
}

/** Says once an address where the range was assumed. */
function checkOrigin(
  patient: Patient,
  range: NatRangeRow,
  { ranges }: NatState,
): readonly Finding[] {
  const { source, firstPort, lastPort, origin } = range
  const first = ranges.find((one) => one.source === source && one.origin === origin)
  if (first !== range || (origin !== 'default' && origin !== 'smallest_rule')) return []
  return [
    createFinding(patient, 'note', {
      what: `the port range of the NAT address ${source} is assumed to be ${firstPort}-${lastPort}`,
      why:
        origin === 'default'
          ? 'No nf_tables rule that could be read says its ports for sure. Those of the old iptables are not among them, ' +
            'and of more than 50,000 rules none is read.'
          : 'Several rules translate to it, or some that are not read may. The smallest range counts, unless the ports of a ' +
            'destination show another.',
      fix: `Where another range applies, say so: --nat.port-range=${source}=FIRST-LAST`,
    }),
  ]
}

/** A range that somebody chose, once an address. Without one all ports are in it, on every node. */
function checkNodePorts(
  patient: Patient,
  range: NatRangeRow,
  { ranges }: NatState,
): readonly Finding[] {
  const { source, firstPort, lastPort, origin } = range
  const isChosen = origin !== 'default' && lastPort - firstPort + 1 < WIDEST_PORTS
  if (!isChosen || !mayHaveNodePorts(patient.namespace.netnsKind)) return []
  if (!overlaps({ first: firstPort, last: lastPort }, NODE_PORTS)) return []
  const alike = (one: NatRangeRow) =>
    one.source === source && one.firstPort === firstPort && one.lastPort === lastPort
  if (ranges.find(alike) !== range) return []
  return [
    createFinding(patient, 'note', {
      what:
        `the range ${firstPort}-${lastPort} of the NAT address ${source} hands out ports of ${renderPorts([NODE_PORTS])}, ` +
        'which are the NodePorts of Kubernetes',
      why:
        'While a translated connection has such a port, what its destination sends to the NodePort from the same port ' +
        'goes to the client behind the NAT, not to the service.',
      fix: 'On a node of Kubernetes, let the rule name ports outside of them.',
    }),
  ]
}
