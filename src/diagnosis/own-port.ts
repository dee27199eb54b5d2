// The conflict this program reports, on its own behalf: which of the ports it listens on could a client take?

import type { Settings } from '../snapshot.ts'

/** Picks the `ports` that lie inside the ephemeral range and are known not to be reserved, each once. */
export function listExposedPorts(settings: Settings, ports: readonly number[]): number[] {
  const { firstPort, lastPort } = settings
  const reserved = listReserved(settings)
  return [...new Set(ports)].filter(
    (port) =>
      port >= firstPort &&
      port <= lastPort &&
      !reserved.some(({ first, last }) => port >= first && port <= last),
  )
}

/** Lists what is reserved. Of what the Snapshot leaves out all may be: every port above the last that it has. */
export function listReserved({
  reservedRanges,
  reservedRangesLeftOut,
}: Settings): Settings['reservedRanges'] {
  const last = reservedRanges.at(-1)
  if (reservedRangesLeftOut === 0 || last === undefined) return reservedRanges
  return [...reservedRanges, { first: last.last + 1, last: 65_535 }]
}
