// What conntrack did to packets since the sample before, and what of a NAT nobody sees: causes -> findings. Pure.

import {
  type Course,
  countResolvedRaces,
  type DropCause,
  type Drops,
  isSearchingLong,
  judgeDrops,
} from './conntrack-drops.ts'
import { type Check, createFinding, type FindingParts, type Patient } from './finding.ts'
import type { Severity } from './severity.ts'
import { renderCount } from './words.ts'

interface Words extends Required<Pick<FindingParts, 'why' | 'fix'>> {
  readonly severity: Severity
  /** Follows the packets. */
  readonly what: string
}

const UNLISTED =
  'Where conntrack is not listed, CAP_NET_ADMIN lets it do so. IPv6 NAT is not listed.'

const wordsOf: Readonly<Record<DropCause, Words>> = {
  exhausted: {
    severity: 'critical',
    what: 'no NAT port was found for them',
    why: 'Most searches for a free port of the NAT address fail, and the clients hang until they time out.',
    fix: 'Translate to more addresses, widen the range of the rule, or let the clients share connections.',
  },
  exhausted_by_counters: {
    severity: 'critical',
    what: 'no NAT port was found for them, as the counters say',
    why: 'Each drop of the last minutes came with the same number of taken ports, as it does where a range is full. No fresh listing shows which range that is.',
    fix: 'List the entries by address and destination. CAP_NET_ADMIN lets the exporter do so, but for IPv6.',
  },
  filling: {
    severity: 'warning',
    what: 'no NAT port was found for them, or threads raced for one',
    why: 'The kernel does not search the whole range, so that some searches fail before the last port is taken.',
    fix: 'Translate to more addresses, widen the range of the rule, or let the clients share connections.',
  },
  race: {
    severity: 'note',
    what: 'threads raced for NAT ports',
    why: 'Two packets took the same free port at the same time. No NAT pool is short of ports, and the clients try again.',
    fix: 'Use fully-random in the rule (--random-fully): it makes races rare.',
  },
  race_or_small_range: {
    severity: 'note',
    what: 'threads raced for NAT ports, or a range of at most 32 ports is full',
    why: 'The counters do not tell these two apart, and no two listings say that all ranges had ports left.',
    fix: UNLISTED,
  },
  unclear: {
    severity: 'warning',
    what: 'threads raced for NAT ports, or no port was found',
    why: 'The counters do not tell these two apart, and no two listings say that all ranges had ports left. Entries that conntrack cannot store count alike.',
    fix: UNLISTED,
  },
  table_full: {
    severity: 'critical',
    what: 'the conntrack table is full',
    why: 'New connections are dropped at the limit, whatever their destination.',
    fix: 'Raise net.netfilter.nf_conntrack_max in the initial network namespace while memory allows it.',
  },
  other: {
    severity: 'note',
    what: 'the reason is not known',
    why: 'No search for a NAT port failed for them, and neither sample shows a full table.',
    fix: '',
  },
}

/** The worst that conntrack did since the sample before. */
export function listDropSeverities(course: Course): readonly Severity[] {
  return judgeDrops(course).map(({ cause }) => wordsOf[cause].severity)
}

export const checkConntrack: Check = (patient) => {
  const { namespace, earlier, takenAtSeconds } = patient
  const course = { now: namespace, before: earlier, takenAtSeconds }
  const resolved = countResolvedRaces(course)
  return [
    ...judgeDrops(course).map((drops) => createDropFinding(patient, drops)),
    ...(resolved > 0
      ? [
          createFinding(patient, 'ok', {
            what: `${renderCount(resolved, 'race')} for one conntrack entry cost no packet`,
          }),
        ]
      : []),
    ...(isSearchingLong(course)
      ? [
          createFinding(patient, 'warning', {
            what: 'searches for a NAT port meet more taken ports than there are connections',
            why: 'The ranges that they search are half full or more, or their taken ports stand together. Which these are is not known, as conntrack was not listed in the last minute.',
            fix: UNLISTED,
          }),
        ]
      : []),
    ...(namespace.conntrack?.translatesIpv6 === true
      ? [
          createFinding(patient, 'note', {
            what: 'the ports of IPv6 NAT are not known',
            why: 'Rules may translate IPv6 sources, and the exporter lists IPv4 entries only.',
            fix: 'Watch ephemeral_port_nat_insert_failed_total, which counts both, or list them:',
            commands: ({ runScript }) => [runScript('conntrack -L -f ipv6')],
          }),
        ]
      : []),
  ]
}

function createDropFinding(patient: Patient, { cause, packets, pool }: Drops) {
  const { severity, what, why, fix } = wordsOf[cause]
  const worst = patient.state.pools.find((one) => one.pool === pool)?.worstDestination
  const where =
    worst === undefined || (cause !== 'exhausted' && cause !== 'filling')
      ? ''
      : `, at worst to ${worst.destination} from ${worst.source}`
  const dropped =
    packets === 0
      ? 'packets were dropped in the last minutes'
      : `${renderCount(packets, 'packet was', 'packets were')} dropped since the sample before`
  return createFinding(patient, severity, {
    what: `${dropped}: ${what}${where}`,
    why,
    fix,
  })
}
