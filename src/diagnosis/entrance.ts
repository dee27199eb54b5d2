// How a command gets into the namespace it is for, and into no other: Namespace -> the words before the command. Pure.

import type { Namespace } from '../snapshot.ts'
import { renderCommand } from './shell.ts'

/** The way into the namespace whose settings a command changes or whose sockets it lists. */
export interface Entrance {
  /**
   * The line that runs a script of sh(1) inside, and only if it is this namespace; undefined where no safe line leads
   * there. The script holds no single quote.
   */
  readonly runScript: (script: string) => string | undefined
  /** Why no line leads there, as a sentence; undefined where one does. */
  readonly missing: string | undefined
}

const UNSAFE_NAME = 'No command is offered: the name of the namespace cannot be typed safely.'
const UNSEEN_PROCESS =
  'A command for it takes CAP_SYS_PTRACE: without that the exporter does not see which namespace a process is in.'
const NO_PROCESS =
  'No command is offered: no process is known that leads from the node into the namespace of the exporter.'

export function openEntrance(namespace: Namespace): Entrance {
  const { netnsKind, entrance, inode } = namespace
  const { name, pid } = entrance
  const isNamed = name !== undefined && isNameSafe(name)
  let enter: readonly string[] | undefined
  // A process leads into its namespace whatever it is called; a name outlives the processes.
  if (isNamed && (netnsKind === 'named' || pid === undefined)) enter = ['ip', 'netns', 'exec', name]
  else if (pid !== undefined) enter = ['nsenter', '-t', String(pid), '-n']
  // The line is typed in the host's namespace.
  else if (netnsKind === 'host') enter = []
  if (inode === undefined || enter === undefined) {
    return { runScript: () => undefined, missing: explainMissing(namespace) }
  }
  const words = [...enter, 'sh', '-c']
  const guard = `${renderTest(inode, enter[0] === 'ip' ? entrance.madeSeconds : undefined)} || ${REFUSE}`
  return {
    runScript: (script) => renderCommand([...words, `${guard}; ${script}`]),
    missing: undefined,
  }
}

function explainMissing({ netnsKind, entrance: { name, pid } }: Namespace): string {
  if (pid !== undefined) return UNSEEN_PROCESS
  if (name !== undefined) return UNSAFE_NAME
  return netnsKind === 'self' ? NO_PROCESS : UNSEEN_PROCESS
}

/**
 * Another process may have that number by now, or where the line is typed, and another namespace that name: the script
 * looks where it has come to, and says so. Silence would read as an empty list.
 */
const REFUSE = '{ echo Another namespace, nothing done >&2; exit 1; }'

/** The kernel gives a freed inode to the next namespace, whose file is then younger. */
function renderTest(inode: number, madeSeconds: number | undefined): string {
  if (madeSeconds === undefined) return `[ "$(readlink /proc/self/ns/net)" = "net:[${inode}]" ]`
  return `[ "$(stat -Lc %i-%Z /proc/self/ns/net)" = ${inode}-${madeSeconds} ]`
}

/** ip-netns(8) takes a leading dash for an option. */
function isNameSafe(name: string): boolean {
  return !name.startsWith('-') && renderCommand([name]) !== undefined
}
