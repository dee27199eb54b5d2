// Child processes of the benchmark: started in the main thread's network namespace, asked one thing at a time, and gone when
// the benchmark is, whatever happened.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const END_MS = 10_000

export interface Children {
  /** Registers a child for the end. */
  adopt<T extends ChildProcess>(child: T): T
  /** Kills them all and waits until they are gone. */
  end(): Promise<void>
}

export function createChildren(): Children {
  const alive = new Map<ChildProcess, Promise<unknown>>()
  return {
    adopt(child) {
      const gone = once(child, 'exit').catch(() => undefined)
      alive.set(child, gone)
      void gone.then(() => alive.delete(child))
      return child
    },
    async end() {
      const all = [...alive.values()]
      for (const child of alive.keys()) child.kill('SIGKILL')
      await withDeadline(Promise.all(all), END_MS, 'End of the child processes')
    },
  }
}

/** Starts a TypeScript file of this directory with an IPC channel. */
export function startScript(children: Children, name: string): ChildProcess {
  const script = `test/bench/cost/${name}`
  return children.adopt(
    spawn(process.execPath, ['--import', 'tsx', script], {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    }),
  )
}

/** Rejects when `promise` takes longer than that. */
export async function withDeadline<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${ms / 1000} s`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
