import { EventEmitter } from 'node:events'
import { describe, expect, test } from 'vitest'
import { createEnding } from '../src/ending.ts'

function setUp() {
  const seen: string[] = []
  const events = new EventEmitter()
  const note = (what: string) => (value?: unknown) => {
    seen.push(value === undefined ? what : `${what} ${value}`)
  }
  events.on('exit', note('told of'))
  const program = Object.assign(events, {
    pid: 7,
    exitCode: 2 as number | undefined,
    exit: (...args: unknown[]) => {
      // As Node has it: an argument is the status, even where it is undefined.
      seen.push(`exit ${args.length > 0 ? (args[0] ?? 0) : program.exitCode}`)
    },
    kill: (pid: number, signal: string) => seen.push(`kill ${pid} ${signal}`),
    abort: note('abort'),
  })
  const ending = createEnding(program as never, note('complain'))
  return { ...ending, program, seen }
}

describe('createEnding()', () => {
  test('ends the program once what samples has stopped', async () => {
    const { sampling, end, seen } = setUp()
    let stopped = () => {}
    sampling(
      () =>
        new Promise((resolve) => {
          stopped = resolve
        }),
    )
    const ended = end(3)
    await new Promise(setImmediate)
    expect(seen).toEqual([])
    stopped()
    await ended
    expect(seen).toEqual(['exit 3'])
  })

  test('ends it although nothing samples, or cannot be stopped', async () => {
    const { sampling, end, seen } = setUp()
    await end()
    sampling(async () => {
      throw new Error('a bug')
    })
    await expect(end(1)).rejects.toThrow('a bug')
    // The verdict of what was shown stays the status.
    expect(seen).toEqual(['exit 2', 'exit 1'])
  })

  test('ends it on an exception that nobody caught, and says which', async () => {
    const { endOnBugs, program, seen } = setUp()
    endOnBugs(3)
    program.emit('uncaughtException', { stack: 'Error: a bug' })
    await new Promise(setImmediate)
    expect(seen).toEqual(['complain Internal error: Error: a bug', 'exit 3'])
  })

  test('kills it where a thread hangs, and crashes PID 1, which does not hear its own signals', () => {
    const { endAtOnce, seen } = setUp()
    endAtOnce()
    expect(seen).toEqual(['told of 137', 'kill 7 SIGKILL', 'abort'])
  })
})
