// Checks of `doctor` about the port range and what listens inside it: one namespace -> findings. Pure.

import { type Check, createFinding, type Patient, type Ports } from './finding.ts'
import { listExposedPorts } from './own-port.ts'

/** What each system has when nobody changed it. */
const usualRanges = {
  linux: { first: 32_768, last: 60_999 },
  other: { first: 49_152, last: 65_535 },
} as const

export const checkRange: Check = (patient) => {
  const { settings, rangeOrigin } = patient.state
  const { firstPort: first, lastPort: last } = settings
  const usual = isLinux(patient) ? usualRanges.linux : usualRanges.other
  const size = sizeOf({ first, last })
  const findings = []
  if (rangeOrigin === 'default') {
    findings.push(
      createFinding(patient, 'note', {
        what: `the port range is unknown, ${first}-${last} is assumed`,
        why: 'It could not be read, so every capacity is that of the documented default.',
        fix: 'Let the exporter read the setting of this network namespace.',
      }),
    )
  }
  if (size === 3 && isLinux(patient)) {
    findings.push(
      createFinding(patient, 'warning', {
        what: `of the 3 ports ${first}-${last} TCP never uses the last`,
        why: 'The kernel walks an odd range in steps of two and leaves out one end, here always the same.',
        fix: 'Use a range of even size, best the usual one.',
        commands: [renderRangeCommand(usual)],
      }),
    )
  } else if (size < sizeOf(usual)) {
    findings.push(
      createFinding(patient, 'warning', {
        what: `the port range ${first}-${last} has ${size} ports, fewer than the usual ${sizeOf(usual)}`,
        why: 'Every pool is that much smaller: connections to each destination, binds to port 0, and UDP.',
        fix: `Widen the range, at least to the usual ${usual.first}-${usual.last}.`,
        commands: [renderRangeCommand(usual)],
      }),
    )
  }
  if (size > 3 && size % 2 === 1 && isLinux(patient)) {
    const even = size < sizeOf(usual) ? usual : { first, last: last - 1 }
    findings.push(
      createFinding(patient, 'note', {
        what: `the port range ${first}-${last} has an odd number of ports`,
        why: 'Each TCP connect() or bind() to port 0 then leaves out one end of the range, so it can fail while exactly that port is free.',
        fix: 'Start and end on numbers of different parity.',
        commands: [renderRangeCommand(even)],
      }),
    )
  }
  return findings.length > 0
    ? findings
    : [createFinding(patient, 'ok', { what: `the port range ${first}-${last} has ${size} ports` })]
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
    const what = `nothing listens inside ${first}-${last} without being reserved`
    return known.length < protocols.length ? [] : [createFinding(patient, 'ok', { what })]
  }
  const named = listeners.map(({ protocol, port, owner }) => `${protocol} ${port} (${owner})`)
  const unnamed = count - named.length
  const list = [...named, ...(unnamed > 0 ? [`${unnamed} not named`] : [])].join(', ')
  return [
    createFinding(patient, 'warning', {
      what: `${count} ${count === 1 ? 'port is' : 'ports are'} listened on inside ${first}-${last} and not reserved`,
      why:
        `While such a service restarts, any outgoing connection can take its port, and it fails to start with ` +
        `"address already in use"; while it runs, no connect() can use the port. They are: ${list}.`,
      fix:
        'Move them out of the range, or reserve their ports: explicit binds to reserved ports still work. ' +
        'A program that asked for any port (0) needs no reservation.',
      commands: [
        ...(unnamed > 0 ? [`ss -Htulnp 'sport >= :${first} and sport <= :${last}'`] : []),
        ...(named.length > 0 ? [renderReserveCommand(patient)] : []),
      ],
    }),
  ]
}

export const checkOwnPorts: Check = (patient) => {
  const { firstPort: first, lastPort: last } = patient.state.settings
  return listExposedPorts(patient.state.settings, patient.facts.listenPorts).map((port) => {
    const known = isReservationKnown(patient)
    return createFinding(patient, known ? 'warning' : 'note', {
      what: `the exporter's own port ${port} is inside ${first}-${last} and ${known ? 'not reserved' : 'may not be reserved'}`,
      why: 'Any outgoing connection can take it before the exporter starts, which then cannot listen.',
      fix: 'Choose a --web.listen-address outside the range, or reserve the port.',
      commands: [renderReserveCommand(patient)],
    })
  })
}

// Where the range had to be assumed, the reservations were not read either.
function isReservationKnown({ state }: Patient): boolean {
  return state.rangeOrigin === 'sysctl'
}

// The setting replaces the whole list, so each command carries everything that has to be reserved: what is so already,
// the listeners, and our own ports. Whichever of them is run, none undoes another.
function renderReserveCommand(patient: Patient): string {
  const { listeners, settings } = patient.state
  const wanted = [
    ...listeners.map(({ port }) => port),
    ...listExposedPorts(patient.state.settings, patient.facts.listenPorts),
  ]
  const ports = renderPorts([
    ...settings.reservedRanges,
    ...wanted.map((port) => ({ first: port, last: port })),
  ])
  const name = 'net.ipv4.ip_local_reserved_ports'
  return isReservationKnown(patient)
    ? `sysctl -w ${name}="${ports}"`
    : `r=$(sysctl -n ${name}); sysctl -w ${name}="\${r:+$r,}${ports}"`
}

/** `8080,40000-40002`: ascending, overlapping and adjacent ports joined, as the kernel prints it. */
export function renderPorts(ports: readonly Ports[]): string {
  const joined: Ports[] = []
  for (const { first, last } of ports.toSorted((a, b) => a.first - b.first)) {
    const before = joined.at(-1)
    if (before !== undefined && first <= before.last + 1) {
      joined[joined.length - 1] = { first: before.first, last: Math.max(before.last, last) }
    } else joined.push({ first, last })
  }
  return joined
    .map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`))
    .join(',')
}

export function renderRangeCommand({ first, last }: Ports): string {
  return `sysctl -w net.ipv4.ip_local_port_range="${first} ${last}"`
}

function sizeOf({ first, last }: Ports): number {
  return last - first + 1
}

function isLinux({ facts }: Patient): boolean {
  return facts.platform === 'linux'
}
