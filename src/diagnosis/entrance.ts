// How a command gets into the namespace it is for, and into no other: Namespace -> the words before the command. Pure.

import type { Namespace } from '../snapshot.ts'
import { renderCommand } from './shell.ts'

/** Of the namespace whose settings a command changes or whose sockets it lists. */
export interface Entrance {
  /** The line that runs these words inside; undefined where no safe line leads there. */
  readonly run: (words: readonly string[]) => string | undefined
  /** The line that runs a script of sh(1) inside, and only if it is this namespace. The script holds no single quote. */
  readonly runScript: (script: string) => string | undefined
}

export function openEntrance(namespace: Namespace): Entrance {
  const { netnsKind, entrance, inode } = namespace
  const { name, pid } = entrance
  const byName = name !== undefined && isNameSafe(name) ? ['ip', 'netns', 'exec', name] : undefined
  // A process leads into its namespace whatever it is called; a name outlives the processes.
  if (byName !== undefined && (netnsKind === 'named' || pid === undefined)) {
    return {
      run: (words) => renderCommand([...byName, ...words]),
      runScript: (script) => renderCommand([...byName, 'sh', '-c', script]),
    }
  }
  // Another process may have that number by now, or where the line is typed: the script looks where it has come to.
  if (pid === undefined || inode === undefined) return { run: nowhere, runScript: nowhere }
  const byPid = ['nsenter', '-t', String(pid), '-n']
  const guard = `[ "$(readlink /proc/self/ns/net)" = "net:[${inode}]" ] || exit 1`
  return {
    run: (words) => renderCommand([...byPid, ...words]),
    runScript: (script) => renderCommand([...byPid, 'sh', '-c', `${guard}; ${script}`]),
  }
}

function nowhere(): undefined {
  return undefined
}

/** ip-netns(8) takes a leading dash for an option. */
function isNameSafe(name: string): boolean {
  return !name.startsWith('-') && renderCommand([name]) !== undefined
}
