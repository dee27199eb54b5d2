import { openSync, readSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createThreadCpuClock } from '../../src/worker/thread-cpu.ts'

vi.mock('node:fs', async (importOriginal) => {
  const fs = await importOriginal<typeof import('node:fs')>()
  return { ...fs, openSync: vi.fn(fs.openSync), readSync: vi.fn(fs.readSync) }
})
afterEach(() => {
  vi.mocked(openSync).mockReset()
  vi.mocked(readSync).mockReset()
})

const onLinux = test.runIf(process.platform === 'linux')
const BURN_MS = 150

/** Of this process, so that it is the same on a busy machine. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

function burn(): void {
  const untilMs = cpuMs() + BURN_MS
  while (cpuMs() < untilMs);
}

function refuse(call: typeof openSync | typeof readSync): void {
  vi.mocked<(...given: never[]) => number>(call).mockImplementation(() => {
    throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' })
  })
}

describe('createThreadCpuClock()', () => {
  test('grows while the thread works, and by no more than the time that passes', () => {
    vi.mocked(openSync).mockClear()
    const clock = createThreadCpuClock()
    const [startedMs, before] = [performance.now(), clock()]
    burn()
    const grownMs = (clock() - before) * 1000
    expect(openSync).toHaveBeenCalledTimes(1)
    const passedMs = performance.now() - startedMs
    expect(grownMs).toBeGreaterThan(BURN_MS / 3)
    // The kernel brings the number up to date at its ticks, of 10 ms at the longest.
    expect(grownMs).toBeLessThan(passedMs + 20)
  })

  onLinux('stands still while the thread waits, though another one works', () => {
    const done = new Int32Array(new SharedArrayBuffer(4))
    const clock = createThreadCpuClock()
    const before = clock()
    const worker = new Worker(
      `const { workerData } = require('node:worker_threads')
       const until = performance.now() + ${2 * BURN_MS}
       while (performance.now() < until);
       Atomics.store(workerData, 0, 1)
       Atomics.notify(workerData, 0)`,
      { eval: true, workerData: done },
    )
    expect(Atomics.wait(done, 0, 0, 300_000)).toBe('ok')
    expect((clock() - before) * 1000).toBeLessThan(BURN_MS)
    return worker.terminate()
  })

  onLinux('stays where it was while the number cannot be read', () => {
    const clock = createThreadCpuClock()
    burn()
    const before = clock()
    expect(before).toBeGreaterThan(0)
    refuse(readSync)
    burn()
    expect(clock()).toBe(before)
    vi.mocked(readSync).mockReset()
    expect(clock()).toBeGreaterThan(before)
  })

  test('goes by wall time where there is no such number', () => {
    refuse(openSync)
    const clock = createThreadCpuClock()
    const before = clock()
    expect(Math.abs(before - performance.now() / 1000)).toBeLessThan(1)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
    expect(clock() - before).toBeGreaterThanOrEqual(0.045)
  })
})
