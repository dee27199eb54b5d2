// The built program as a child process: started as a user would, ended whatever happens.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const TICK_MS = 20
/** A tick that comes later than that shows a machine that stood still, which is no delay of the program's. */
const LONGEST_TICK_MS = 100

export interface Program {
  readonly child: ChildProcess
  /** Everything written so far. */
  stdout(): string
  stderr(): string
  /** Resolves with the exit status, or the signal, and how long the machine ran for that from now. */
  ended(): Promise<{ status: number | string | null; afterMs: number }>
}

export interface ProgramOptions {
  readonly command?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** Runs `node dist/main.js` with those arguments, lets `use` work with it, and leaves no process behind. */
export async function withProgram<T>(
  args: readonly string[],
  use: (program: Program) => Promise<T>,
  { command = [process.execPath, 'dist/main.js'], env = {} }: ProgramOptions = {},
): Promise<T> {
  const [file = '', ...first] = command
  const child = spawn(file, [...first, ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    // Its own process group, so that npm's children can be ended too.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const text = { stdout: '', stderr: '' }
  child.stdout?.on('data', (chunk) => {
    text.stdout += chunk
  })
  child.stderr?.on('data', (chunk) => {
    text.stderr += chunk
  })
  const closed = once(child, 'close')
  try {
    return await use({
      child,
      stdout: () => text.stdout,
      stderr: () => text.stderr,
      ended: async () => {
        const stop = countRunningMs()
        await closed
        return { status: child.exitCode ?? child.signalCode, afterMs: stop() }
      },
    })
  } finally {
    killGroup(child.pid)
    await closed
  }
}

/**
 * What the end of a program may take, in milliseconds, where its start took as long as `start`: two seconds, or on a busy machine
 * more, but less than connections that are waited for would take.
 */
export async function endLimitMs(start: () => Promise<unknown>): Promise<number> {
  const stop = countRunningMs()
  await start()
  return Math.min(Math.max(2000, stop()), 4500)
}

/** Counts from now on; the function returned ends that and says how much it was. */
function countRunningMs(): () => number {
  let ranMs = 0
  let lastMs = performance.now()
  const tick = () => {
    const nowMs = performance.now()
    ranMs += Math.min(nowMs - lastMs, LONGEST_TICK_MS)
    lastMs = nowMs
  }
  const timer = setInterval(tick, TICK_MS)
  return () => {
    clearInterval(timer)
    tick()
    return ranMs
  }
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // All of it has ended already.
  }
}

/** Far beyond what anything needs: a busy machine takes many times what a quiet one does, and only a failure waits so long. */
const WAIT_MS = 120_000

/** Asks until the answer is what it should be. */
export async function waitFor<T>(ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + WAIT_MS
  for (;;) {
    const answer = await ask().catch(() => undefined)
    if (answer !== undefined) return answer
    if (Date.now() > deadline) throw new Error(`Cannot wait any longer than ${WAIT_MS} ms`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
