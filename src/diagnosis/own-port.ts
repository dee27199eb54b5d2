// The conflict this program reports, on its own behalf: which of the ports it listens on could a client take?

import type { Settings } from '../snapshot.ts'

/** Picks the `ports` that lie inside the ephemeral range and are not reserved, each once. */
export function listExposedPorts(settings: Settings, ports: readonly number[]): number[] {
  const { firstPort, lastPort, reservedRanges } = settings
  return [...new Set(ports)].filter(
    (port) =>
      port >= firstPort &&
      port <= lastPort &&
      !reservedRanges.some(({ first, last }) => port >= first && port <= last),
  )
}
