// Whether the other end of a connection is this machine.

import { networkInterfaces } from 'node:os'

/** The ends of a connection as net.Socket has them. */
export interface Ends {
  readonly remoteAddress?: string | undefined
  readonly localAddress?: string | undefined
}

/**
 * Whether a connected socket ends on loopback, at the address it left from, or at another one of this machine. IPv4
 * leaves from the first address of a network, also to the second. False where that cannot be told.
 */
export function isOwnPeer(
  { remoteAddress, localAddress }: Ends,
  listAddresses = listOwnAddresses,
): boolean {
  if (remoteAddress === undefined) return false
  const remote = remoteAddress.replace(/^::ffff:/, '')
  return (
    remoteAddress === localAddress ||
    /^(127\.|::1$)/.test(remote) ||
    listAddresses().includes(remote)
  )
}

function listOwnAddresses(): readonly string[] {
  try {
    return Object.values(networkInterfaces()).flatMap((all = []) => all.map((one) => one.address))
  } catch {
    return []
  }
}
