// The end of the program. process.exit() waits for the worker thread, for ever where that hangs in a system call: what
// samples is stopped first, and a worker that cannot be stopped goes with the whole process.

export interface Ending {
  /** Says how what samples is stopped, before its worker may hang. */
  sampling(stop: () => Promise<void>): void
  /** Ends the program as soon as its worker has ended, with that exit status or with process.exitCode. */
  end(status?: number): Promise<void>
  /** Says what went wrong inside, and ends the program with that exit status. */
  endOnBugs(status: number): void
  /** Ends the process although a thread of it hangs in the kernel. */
  endAtOnce(): void
}

/** The exit status of SIGKILL, as a shell tells it. */
const KILLED = 137

export function createEnding(
  program: Pick<NodeJS.Process, 'pid' | 'exit' | 'exitCode' | 'kill' | 'abort' | 'emit' | 'on'>,
  complain: (problem: string) => void,
): Ending {
  let stopSampling: (() => Promise<void>) | undefined

  async function end(status?: number): Promise<void> {
    try {
      await stopSampling?.()
    } finally {
      // exit(undefined) would be exit(0), whatever process.exitCode says.
      if (status !== undefined) program.exitCode = status
      program.exit()
    }
  }

  return {
    sampling(stop) {
      stopSampling = stop
    },
    end,
    endOnBugs(status) {
      program.on('uncaughtException', (error) => {
        complain(`Internal error: ${error.stack ?? error}`)
        void end(status)
      })
    },
    endAtOnce() {
      // What has taken the terminal gives it back.
      program.emit('exit', KILLED)
      program.kill(program.pid, 'SIGKILL')
      // Only PID 1 of a container gets here: the kernel keeps its own signals from it, but not a crash.
      program.abort()
    },
  }
}
