// Whom a command believes that answers on a port of this machine. Any user may take a port that is free, and answer
// there as the exporter would.

import { readlinkSync } from 'node:fs'
import { readListenerUids } from '../kernel/listener-uids.ts'

export interface Asker {
  /** The system, as Node names it. */
  readonly platform: string
  /** Tells the effective user id; undefined where there is none. */
  readonly geteuid?: (() => number) | undefined
}

export interface ListenerFiles {
  /** Lists the users who listen on a port. Throws where that cannot be told. */
  readonly readUids: (port: number) => readonly number[]
  /** Reads a symbolic link. Throws where there is none. */
  readonly readLink: (path: string) => string
}

const ROOT = 0
/** A unit with DynamicUser= runs as the user of its own name. */
const UNIT_USER = 'ephemeral-port-exporter'

/**
 * Whether somebody listens there, and nobody but root, the asker, or the user that systemd makes for the unit. Always
 * true on other platforms than Linux: they do not tell, and no command is printed there.
 */
export function isListenerTrusted(
  port: number,
  { platform, geteuid }: Asker,
  { readUids, readLink }: ListenerFiles = { readUids: readListenerUids, readLink: readlinkSync },
): boolean {
  const own = geteuid?.()
  if (platform !== 'linux') return true
  const isTrusted = (uid: number) =>
    uid === ROOT ||
    uid === own ||
    attempt(() => readLink(`/run/systemd/dynamic-uid/direct:${uid}`)) === UNIT_USER
  const uids = attempt(() => readUids(port)) ?? []
  return uids.length > 0 && uids.every(isTrusted)
}

/** Undefined where that cannot be looked at. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
