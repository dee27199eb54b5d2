// Who listens on a port of this machine. Any user may take one that is free, and answer there as the exporter would.

import { closeSync, openSync, readlinkSync, readSync } from 'node:fs'

export interface Asker {
  /** As Node names it. */
  readonly platform: string
  /** Tells the effective user id; undefined where there is none. */
  readonly geteuid?: (() => number) | undefined
}

export interface ListenerFiles {
  /** Reads the listeners of a table in /proc. Throws where there is none. */
  readonly readText: (path: string) => string
  /** Reads a symbolic link. Throws where there is none. */
  readonly readLink: (path: string) => string
}

const ROOT = 0
/** TCP_LISTEN in include/net/tcp_states.h. */
const LISTEN = '0A'
/** The kernel writes listeners first (tcp_get_idx in net/ipv4/tcp_ipv4.c): a row of anything else ends them. */
const OTHER_ROW = /^ *\d+: \S+ \S+ (?!0A )/m
const CHUNK_BYTES = 65_536
/** A unit with DynamicUser= runs as the user of its own name. */
const UNIT_USER = 'ephemeral-port-exporter'

/**
 * Whether somebody listens there, and nobody but root, the asker, or the user that systemd makes for the unit. Always true
 * on other platforms than Linux: they do not tell, and no command is printed there.
 */
export function isListenerTrusted(
  port: number,
  { platform, geteuid }: Asker,
  { readText, readLink }: ListenerFiles = { readText: readFile, readLink: readlinkSync },
): boolean {
  const own = geteuid?.()
  if (platform !== 'linux') return true
  const tables = ['tcp', 'tcp6'].map((name) => orEmpty(() => readText(`/proc/self/net/${name}`)))
  const uids = tables.flatMap((table) => listUids(table, port))
  const isTrusted = (uid: number) =>
    uid === ROOT ||
    uid === own ||
    orEmpty(() => readLink(`/run/systemd/dynamic-uid/direct:${uid}`)) === UNIT_USER
  return uids.length > 0 && uids.every(isTrusted)
}

/** The users of the sockets that listen on that port, whatever their address. */
function listUids(table: string, port: number): readonly number[] {
  return table.split('\n').flatMap((line) => {
    const [, local, , state, , , , uid] = line.trim().split(/\s+/, 8)
    const isThere = Number.parseInt(local?.split(':')[1] ?? '', 16) === port
    return state === LISTEN && isThere ? [Number(uid)] : []
  })
}

/** A busy host has millions of other rows behind them. */
function readFile(path: string): string {
  const file = openSync(path, 'r')
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES)
    const parts: string[] = []
    for (;;) {
      // Whole rows, since the kernel never cuts one.
      const part = chunk.toString('latin1', 0, readSync(file, chunk))
      parts.push(part)
      if (part === '' || OTHER_ROW.test(part)) return parts.join('')
    }
  } finally {
    closeSync(file)
  }
}

function orEmpty(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}
