// Whether the other end of a connection is this machine.

import type { Socket } from 'node:net'
import { networkInterfaces } from 'node:os'

/**
 * Whether a connected socket ends on loopback, at the address it left from, or at another one of this machine. IPv4
 * leaves from the first address of a network, also to the second. False where that cannot be told.
 */
export function isOwnPeer(
  { remoteAddress, localAddress }: Pick<Socket, 'remoteAddress' | 'localAddress'>,
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
