// Processes as a runtime of containers starts them: put into a cgroup first, then into a network namespace of their own or
// into that of another, and only then what is to run.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readlinkSync, statSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

export interface Container {
  readonly pid: number
  /** Of its network namespace. */
  readonly inode: number
}

export interface Containers {
  /** Starts one in the cgroup at that path, in a new network namespace or in that of `joined`. */
  start(path: string, joined?: Container): Promise<Container>
  end(container: Container): Promise<void>
}

const START_MS = 120_000

/** Leaves no process behind, whatever `use` does; `root` is where cgroup v2 is mounted. */
export async function withContainers<T>(
  root: string,
  use: (containers: Containers) => Promise<T>,
): Promise<T> {
  const children = new Map<number, ChildProcess>()
  try {
    return await use({
      async start(path, joined) {
        const network =
          joined === undefined ? 'unshare --net' : `nsenter --net=/proc/${joined.pid}/ns/net`
        // Both programs become what they start: the process id stays.
        const script = `echo $$ > "$0/cgroup.procs" && exec ${network} sleep 3600`
        const child = spawn('sh', ['-c', script, root + path], {
          stdio: ['ignore', 'ignore', 'inherit'],
        })
        const pid = child.pid ?? 0
        children.set(pid, child)
        await waitForSleep(child, pid)
        return { pid, inode: statSync(`/proc/${pid}/ns/net`).ino }
      },
      end: async ({ pid }) => {
        const child = children.get(pid)
        children.delete(pid)
        if (child !== undefined) await kill(child)
      },
    })
  } finally {
    await Promise.all([...children.values()].map(kill))
  }
}

async function waitForSleep(child: ChildProcess, pid: number): Promise<void> {
  const deadline = Date.now() + START_MS
  while (!readlinkSync(`/proc/${pid}/exe`).endsWith('/sleep')) {
    if (child.exitCode !== null || Date.now() > deadline) {
      throw new Error(`Cannot start a process in a cgroup, exit code ${child.exitCode}`)
    }
    await delay(5)
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}
