// Commands that change one namespace: what to set -> a line that sets it there and nowhere else. Pure.

import type { PortRange } from '../observation.ts'
import { joinRanges } from '../port-ranges.ts'
import type { Entrance } from './entrance.ts'

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
  { first, last }: PortRange,
  reserve: readonly PortRange[] = [],
): string | undefined {
  const set = `sysctl -w ${RANGE}="${first} ${last}"`
  return runScript(reserve.length === 0 ? set : `${renderAppend(reserve)} && ${set}`)
}

/** Adds to the reserved ports. */
export function renderReserveCommand(
  { runScript }: Entrance,
  ports: readonly PortRange[],
): string | undefined {
  return runScript(renderAppend(ports))
}

function renderAppend(ports: readonly PortRange[]): string {
  return `r=$(sysctl -n ${RESERVED}) && sysctl -w ${RESERVED}="\${r:+$r,}${renderPorts(ports)}"`
}

/** `8080,40000-40002`: ascending, overlapping and adjacent ports joined, as the kernel prints it. */
export function renderPorts(ports: readonly PortRange[]): string {
  return joinRanges(ports)
    .map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`))
    .join(',')
}
