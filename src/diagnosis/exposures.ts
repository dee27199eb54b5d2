// What a namespace is exposed to: the list of all checks, in the order of findings of one severity. Pure.

import { checkConntrack } from './exposure-conntrack.ts'
import { checkNat } from './exposure-nat.ts'
import {
  checkBlocked,
  checkBuckets,
  checkChurn,
  checkReuse,
  checkUdpPorts,
} from './exposure-pools.ts'
import { checkListeners, checkNodePorts, checkOwnPorts, checkRange } from './exposure-range.ts'
import { type Check, createFinding } from './finding.ts'
import { renderCount } from './words.ts'

const checkExactness: Check = (patient) => {
  const { exactness, reader, readerIsExact, pools } = patient.state
  if (exactness === 'exact') {
    return [createFinding(patient, 'ok', { what: `${reader} sees every socket that holds a port` })]
  }
  if (exactness === 'inferred') {
    const { uncertainPorts = 0 } = pools.find(({ pool }) => pool === 'tcp_connect') ?? {}
    if (uncertainPorts === 0) {
      return [
        createFinding(patient, 'ok', {
          what: 'what the listing hides is inferred, and no port is known to be in doubt',
        }),
      ]
    }
    return [
      createFinding(patient, 'note', {
        topic: 'unknown',
        what: `up to ${renderCount(uncertainPorts, 'port')} fewer may be available to connect() than shown`,
        why: 'The kernel does not list which connections were bound first, nor whose TIME_WAIT can be recycled.',
        fix: 'Give it CAP_BPF and CAP_PERFMON, or let --collector.probe test the ports that are in doubt.',
      }),
    ]
  }
  const onLinux = patient.facts.platform === 'linux'
  return [
    createFinding(patient, 'note', {
      topic: 'unknown',
      what: 'fewer ports may be available than shown',
      ...(readerIsExact
        ? {
            why: "This kernel's socket dump does not show every socket that holds a port: those that are bound but idle appear from Linux 6.8 on.",
            fix: 'Run Linux 6.8 or newer.',
          }
        : {
            why: `${reader} shows neither sockets that are bound but idle nor which ports a program chose itself.`,
            fix: onLinux ? renderExactnessFix(patient.exactWorks) : '',
          }),
    }),
  ]
}

function renderExactnessFix(exactWorks: boolean): string {
  return exactWorks
    ? 'Let the exporter enter it: CAP_SYS_ADMIN, and CAP_SYS_PTRACE unless the namespace has a name in /run/netns.'
    : 'Use --source=auto, and load the kernel module that netlink needs: modprobe tcp_diag. The log says what else is missing.'
}

export const checks: readonly Check[] = [
  checkReuse,
  checkChurn,
  checkBuckets,
  checkBlocked,
  checkListeners,
  checkNodePorts,
  checkOwnPorts,
  checkRange,
  checkUdpPorts,
  checkNat,
  checkConntrack,
  checkExactness,
]
