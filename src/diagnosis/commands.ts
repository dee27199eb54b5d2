// Commands that change one namespace: what to set -> a line that sets it there and nowhere else. Pure.

import type { Entrance } from './entrance.ts'

export interface Ports {
  readonly first: number
  readonly last: number
}

const RANGE = 'net.ipv4.ip_local_port_range'
const RESERVED = 'net.ipv4.ip_local_reserved_ports'

/** Sets numbers; undefined where no line leads into the namespace. */
export function renderSettingCommand(
  { runScript }: Entrance,
  settings: Readonly<Record<string, number>>,
): string | undefined {
  const words = Object.entries(settings).map(([name, value]) => `net.ipv4.${name}=${value}`)
  return runScript(`sysctl -w ${words.join(' ')}`)
}

/**
 * Sets the range, after reserving the ports that it must not hand out. They are added to what is reserved when the line
 * runs: the setting holds the whole list, and writing one replaces it.
 */
export function renderRangeCommand(
  { runScript }: Entrance,
  { first, last }: Ports,
  reserve: readonly Ports[] = [],
): string | undefined {
  const set = `sysctl -w ${RANGE}="${first} ${last}"`
  return runScript(reserve.length === 0 ? set : `${renderAppend(reserve)} && ${set}`)
}

/** Adds to the reserved ports. */
export function renderReserveCommand(
  { runScript }: Entrance,
  ports: readonly Ports[],
): string | undefined {
  return runScript(renderAppend(ports))
}

function renderAppend(ports: readonly Ports[]): string {
  return `r=$(sysctl -n ${RESERVED}) && sysctl -w ${RESERVED}="\${r:+$r,}${renderPorts(ports)}"`
}

/** `8080,40000-40002`: ascending, overlapping and adjacent ports joined, as the kernel prints it. */
export function renderPorts(ports: readonly Ports[]): string {
  return joinPorts(ports)
    .map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`))
    .join(',')
}

/** Ascending and disjoint. */
export function joinPorts(ports: readonly Ports[]): readonly Ports[] {
  const joined: Ports[] = []
  for (const { first, last } of ports.toSorted((a, b) => a.first - b.first)) {
    const before = joined.at(-1)
    if (before !== undefined && first <= before.last + 1) {
      joined[joined.length - 1] = { first: before.first, last: Math.max(before.last, last) }
    } else joined.push({ first, last })
  }
  return joined
}
