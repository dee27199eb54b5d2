// The command `doctor`: Snapshot and a few facts -> what this host is exposed to and what to change. Pure.

import type { Namespace, Snapshot } from '../snapshot.ts'
import { checkBlocked, checkPools, checkReuse, checkSlowPath } from './doctor-pools.ts'
import { checkListeners, checkOwnPorts, checkRange } from './doctor-range.ts'
import { type Check, createFinding, type Finding, type HostFacts, type Patient } from './finding.ts'

const checkExactness: Check = (patient) => {
  const { exactness, reader } = patient.state
  if (exactness === 'exact') {
    return [createFinding(patient, 'ok', { what: `${reader} sees every socket that holds a port` })]
  }
  const onLinux = patient.facts.platform === 'linux'
  return [
    createFinding(patient, 'note', {
      what: 'fewer ports may be available than shown',
      ...(reader === 'netlink'
        ? {
            why: "This kernel's socket dump does not show every socket that holds a port: those that are bound but idle appear from Linux 6.8 on.",
            fix: 'Run Linux 6.8 or newer.',
          }
        : {
            why: `${reader} shows neither sockets that are bound but idle nor which ports a program chose itself.`,
            fix: !onLinux
              ? ''
              : patient.netlinkWorks
                ? 'Let the exporter enter it: CAP_SYS_ADMIN, and CAP_SYS_PTRACE unless the namespace has a name in /run/netns.'
                : 'Let --source=auto reach netlink: it needs the optional dependency koffi, and AF_NETLINK sockets must not be forbidden (seccomp, RestrictAddressFamilies).',
          }),
    }),
  ]
}

/** The order is that of the findings of one severity. */
const checks: readonly Check[] = [
  checkPools,
  checkSlowPath,
  checkReuse,
  checkBlocked,
  checkListeners,
  checkOwnPorts,
  checkRange,
  checkExactness,
]

/** Every exposure of every namespace, and what was checked and is ok; of quiet ones the exposures alone. */
export function diagnose(snapshot: Snapshot, facts: HostFacts): Finding[] {
  const netlinkWorks = snapshot.namespaces.some(({ state }) => state?.reader === 'netlink')
  return snapshot.namespaces.flatMap((namespace) =>
    diagnoseNamespace(namespace, { facts, netlinkWorks }).filter(
      ({ severity }) => namespace.detailed || severity !== 'ok',
    ),
  )
}

function diagnoseNamespace(
  { netns, state, failure }: Namespace,
  known: Pick<Patient, 'facts' | 'netlinkWorks'>,
): Finding[] {
  if (state !== undefined) return checks.flatMap((check) => check({ netns, state, ...known }))
  return [
    {
      severity: 'critical',
      netns,
      what: `could not be read${failure === undefined ? '' : ` (${failure.reason})`}`,
      why: failure?.message ?? '',
      fix:
        failure?.reason === 'permission'
          ? 'Run as root or grant the right that the message names.'
          : 'Try another --source.',
      commands: [],
    },
  ]
}
