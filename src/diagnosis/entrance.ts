// How a command gets into the namespace it is for, and into no other: Namespace -> the words before the command. Pure.

import type { Namespace } from '../snapshot.ts'
import { renderCommand } from './shell.ts'

/** The way into the namespace whose settings a command changes or whose sockets it lists. */
export interface Entrance {
  /**
   * The line that runs a script of sh(1) inside, and only if it is this namespace; undefined where no safe line leads there.
   * The script holds no single quote.
   */
  readonly runScript: (script: string) => string | undefined
  /** Why no line leads there, as a sentence; undefined where one does. */
  readonly missing: string | undefined
}

const UNSAFE_NAME = 'No command is offered: the name of the namespace cannot be typed safely.'
const UNSEEN_PROCESS =
  'A command for it takes CAP_SYS_PTRACE: without that the exporter does not see which namespace a process is in.'

export function openEntrance(namespace: Namespace): Entrance {
  const { netnsKind, entrance, inode } = namespace
  const { name, pid } = entrance
  const byName = name !== undefined && isNameSafe(name) ? ['ip', 'netns', 'exec', name] : undefined
  // A process leads into its namespace whatever it is called; a name outlives the processes.
  if (byName !== undefined && (netnsKind === 'named' || pid === undefined)) {
    return {
      runScript: (script) => renderCommand([...byName, 'sh', '-c', script]),
      missing: undefined,
    }
  }
  // Without another process in it the own namespace is where the line is typed, or the script ends.
  const isOwn = netnsKind === 'host' || netnsKind === 'self'
  if (inode === undefined || (pid === undefined && !isOwn)) {
    const missing = pid === undefined && name !== undefined ? UNSAFE_NAME : UNSEEN_PROCESS
    return { runScript: () => undefined, missing }
  }
  // Another process may have that number by now, or where the line is typed: the script looks where it has come to.
  const byPid = pid === undefined ? [] : ['nsenter', '-t', String(pid), '-n']
  const guard = `[ "$(readlink /proc/self/ns/net)" = "net:[${inode}]" ] || exit 1`
  return {
    runScript: (script) => renderCommand([...byPid, 'sh', '-c', `${guard}; ${script}`]),
    missing: undefined,
  }
}

/** ip-netns(8) takes a leading dash for an option. */
function isNameSafe(name: string): boolean {
  return !name.startsWith('-') && renderCommand([name]) !== undefined
}
