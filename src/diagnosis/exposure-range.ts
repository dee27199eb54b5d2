// What will bite about the port range and what listens inside it: one namespace -> findings. Pure.

import { renderPorts, renderRangeCommand, renderReserveCommand } from './commands.ts'
import { type Check, createFinding, type Patient } from './finding.ts'
import { listExposedPorts } from './own-port.ts'
import { mayHaveNodePorts, NODE_PORTS, swallowsNodePorts, USUAL_RANGE } from './range-plan.ts'
import { renderList } from './words.ts'

/** What each system has when nobody changed it. */
const usualRanges = { linux: USUAL_RANGE, other: { first: 49_152, last: 65_535 } } as const
const MOST_LISTED = 10

export const checkRange: Check = (patient) => {
  const { settings, rangeOrigin } = patient.state
  const { firstPort: first, lastPort: last } = settings
  const usual = isLinux(patient) ? usualRanges.linux : usualRanges.other
  const size = last - first + 1
  const usualSize = usual.last - usual.first + 1
  const findings = []
  if (rangeOrigin === 'default') {
    findings.push(
      createFinding(patient, 'note', {
        topic: 'unknown',
        what: `the port range is unknown, ${first}-${last} is assumed`,
        why: 'It could not be read, so every capacity is that of the documented default.',
        fix: 'Let the exporter read the setting of this network namespace: it must be allowed to enter it (CAP_SYS_ADMIN).',
      }),
    )
  }
  if (size === 3 && isLinux(patient)) {
    findings.push(
      createFinding(patient, 'warning', {
        what: `of the 3 ports ${first}-${last} TCP never uses the last`,
        why: 'The kernel walks an odd range in steps of two and leaves out one end, here always the same.',
        fix: 'Use a range of even size, best the usual one.',
        commands: (entrance) => [renderRangeCommand(entrance, usual)],
      }),
    )
  } else if (size < usualSize) {
    findings.push(
      createFinding(patient, 'warning', {
        what: `the port range ${first}-${last} has ${size} ports, fewer than the usual ${usualSize}`,
        why: 'Every pool is that much smaller: connections to each destination, binds to port 0, and UDP.',
        fix: `Widen the range, at least to the usual ${usual.first}-${usual.last}.`,
        commands: (entrance) => [renderRangeCommand(entrance, usual)],
      }),
    )
  }
  if (size > 3 && size % 2 === 1 && isLinux(patient)) {
    const even = size < usualSize ? usual : { first, last: last - 1 }
    findings.push(
      createFinding(patient, 'note', {
        what: `the port range ${first}-${last} has an odd number of ports`,
        why: 'Each TCP connect() or bind() to port 0 then leaves out one end of the range, so it can fail while exactly that port is free.',
        fix: 'Start and end on numbers of different parity.',
        commands: (entrance) => [renderRangeCommand(entrance, even)],
      }),
    )
  }
  return findings.length > 0
    ? findings
    : [createFinding(patient, 'ok', { what: `the port range ${first}-${last} has ${size} ports` })]
}

/** Kubernetes gives these ports to services of type NodePort, which the range must not hand out. */
export const checkNodePorts: Check = (patient) => {
  const { namespace, state, hasPods } = patient
  const { settings, rangeOrigin } = state
  if (!mayHaveNodePorts(namespace.netnsKind) || !isLinux(patient)) return []
  if (rangeOrigin === 'default' || !swallowsNodePorts(settings)) return []
  const ports = renderPorts([NODE_PORTS])
  return [
    createFinding(patient, hasPods ? 'warning' : 'note', {
      what: `the port range ${settings.firstPort}-${settings.lastPort} hands out ports of ${ports}, which are the NodePorts of Kubernetes`,
      why: 'A connection on a NodePort and the service that has it take packets from each other.',
      fix: 'On a node of Kubernetes, reserve them.',
      commands: (entrance) => [renderReserveCommand(entrance, [NODE_PORTS])],
    }),
  ]
}

export const checkListeners: Check = (patient) => {
  const { protocols, listeners, settings } = patient.state
  const { firstPort: first, lastPort: last } = settings
  const known = protocols.flatMap((use) => use.listeners ?? [])
  const count = Math.max(
    listeners.length,
    known.reduce((sum, ports) => sum + ports, 0),
  )
  if (count === 0) {
    const what = `no service listens inside ${first}-${last} on a port that is not reserved`
    return known.length < protocols.length ? [] : [createFinding(patient, 'ok', { what })]
  }
  const named = listeners.map(({ protocol, port, owner }) => `${protocol} ${port} (${owner})`)
  const unnamed = count - named.length
  const list = [renderList(named, MOST_LISTED), ...(unnamed > 0 ? [`${unnamed} not named`] : [])]
  return [
    createFinding(patient, 'warning', {
      what: `${count} ${count === 1 ? 'port is' : 'ports are'} listened on inside ${first}-${last} and not reserved`,
      why:
        `While such a service restarts, any outgoing connection can take its port, and it fails to start with ` +
        `"address already in use"; while it runs, no connect() can use the port. They are: ${list.filter((part) => part !== '').join(', ')}.`,
      fix:
        'Move them out of the range, or reserve their ports: explicit binds to reserved ports still work. ' +
        'A program that asked for any port (0) needs no reservation.',
      commands: (entrance) => [
        ...(unnamed > 0
          ? [entrance.runScript(`ss -Htulnp "sport >= :${first} and sport <= :${last}"`)]
          : []),
        ...(named.length > 0 ? [renderReserveCommand(entrance, listeners.map(toPorts))] : []),
      ],
    }),
  ]
}

/** The port of the program itself, in the namespace where it listens. */
export const checkOwnPorts: Check = (patient) => {
  if (!patient.own) return []
  const { settings, rangeOrigin } = patient.state
  const { firstPort: first, lastPort: last } = settings
  // Where the range had to be assumed, the reservations were not read either.
  const known = rangeOrigin === 'sysctl'
  return listExposedPorts(settings, patient.facts.listenPorts).map((port) =>
    createFinding(patient, known ? 'warning' : 'note', {
      what: `the exporter's own port ${port} is inside ${first}-${last} and ${known ? 'not reserved' : 'may not be reserved'}`,
      why: 'Any outgoing connection can take it before the exporter starts, which then cannot listen.',
      fix: 'Choose a --web.listen-address outside the range, or reserve the port.',
      commands: (entrance) => [renderReserveCommand(entrance, [toPorts({ port })])],
    }),
  )
}

function toPorts({ port }: { readonly port: number }): { first: number; last: number } {
  return { first: port, last: port }
}

function isLinux({ facts }: Patient): boolean {
  return facts.platform === 'linux'
}
