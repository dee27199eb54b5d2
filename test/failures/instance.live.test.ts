// Whose instance is whose: what a crash leaves goes with the next start, and what lives is left alone.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  createInstanceName,
  holdInstance,
  listInstances,
  removeInstance,
  renderFilter,
} from '../../src/failures/instance.ts'
import { openRecorder, type Recorder } from '../../src/failures/recorder.ts'
import { SourceError } from '../../src/observation.ts'
import { openTracefs, type TracefsPlace, whyNotTraced } from '../support/failures/tracefs-place.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const skipReason = whyNotTraced()
let tracefs: TracefsPlace
const opened: Recorder[] = []
const children: ChildProcess[] = []

function open(name = createInstanceName(process.pid)): Recorder {
  const recorder = openRecorder({ places: [tracefs.place], name })
  opened.push(recorder)
  return recorder
}

async function startHolder(): Promise<{ path: string; kill: () => Promise<void> }> {
  const command = ['--import', 'tsx', 'test/failures/holder.ts', tracefs.place]
  const child = spawn(process.execPath, command, { cwd: ROOT, stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  const exited = once(child, 'exit')
  const ended = exited.then(() => Promise.reject(new Error('The holder ended')))
  const line = once(createInterface({ input: child.stdout }), 'line')
  const [path] = await Promise.race([line, ended])
  ended.catch(() => {}) // killed later
  return {
    path: String(path),
    kill: async () => {
      child.kill('SIGKILL')
      await exited
    },
  }
}

const isRecording = (path: string) =>
  readFileSync(`${path}/events/sock/inet_sock_set_state/enable`, 'utf8') === '1\n' &&
  readFileSync(`${path}/tracing_on`, 'utf8') === '1\n'

beforeAll(() => {
  if (skipReason === undefined) tracefs = openTracefs()
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const recorder of opened.splice(0)) {
    recorder.close()
    removeInstance(recorder.instancePath)
  }
})
afterAll(() => tracefs?.close())

describe('openRecorder()', () => {
  test('makes rings of 64 KiB that keep the newest, and records nothing but failures', (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const { instancePath } = open()
    const read = (name: string) => readFileSync(`${instancePath}/${name}`, 'utf8').trim()
    // Rounded up to whole pages of the ring.
    expect(Number(read('buffer_size_kb'))).toBeGreaterThanOrEqual(64)
    expect(Number(read('buffer_size_kb'))).toBeLessThanOrEqual(128)
    expect(read('options/overwrite')).toBe('1')
    expect(read('set_event')).toBe('sock:inet_sock_set_state')
    expect(read('events/sock/inet_sock_set_state/filter')).toBe(renderFilter())
    expect(isRecording(instancePath)).toBe(true)
  })

  test('removes what a killed process has left, and leaves alone what another holds', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const [killed, alive] = await Promise.all([startHolder(), startHolder()])
    expect(isRecording(killed.path)).toBe(true)
    await killed.kill()
    const { instancePath } = open()
    expect(existsSync(killed.path)).toBe(false)
    expect(isRecording(alive.path)).toBe(true)
    expect(isRecording(instancePath)).toBe(true)

    await alive.kill()
    open()
    expect(existsSync(alive.path)).toBe(false)
    expect(listInstances(tracefs.place)).toContain(instancePath.split('/').at(-1))
  })

  test('gives each its own when several start at once', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const holders = await Promise.all([1, 2, 3, 4].map(startHolder))
    expect(new Set(holders.map(({ path }) => path)).size).toBe(4)
    for (const { path } of holders) expect(isRecording(path)).toBe(true)
  })

  test('finds the instance of its process again, though no thread has it open', (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const name = createInstanceName(process.pid)
    const first = open(name)
    const release = holdInstance(first.instancePath)
    first.close()
    opened.splice(0)
    // Another exporter starts meanwhile.
    const other = open()
    expect(isRecording(first.instancePath)).toBe(true)
    expect(removeInstance(first.instancePath)).toBe(false)
    expect(open(name).instancePath).toBe(first.instancePath)
    release()
    expect(isRecording(other.instancePath)).toBe(true)
  })

  test('makes its instance anew when it was taken away', (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const name = createInstanceName(process.pid)
    const first = open(name)
    first.close()
    opened.splice(0)
    // Nobody held it, and another exporter starts.
    open()
    expect(existsSync(first.instancePath)).toBe(false)
    expect(isRecording(open(name).instancePath)).toBe(true)
  })

  test('is refused without rights, and says which', (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const nobody = 65_534
    process.seteuid?.(nobody)
    try {
      expect(() => open()).toThrow(SourceError)
      expect(() => open()).toThrow(
        /^Cannot record failed allocations: EACCES: .*; this takes root or CAP_DAC_OVERRIDE/,
      )
    } finally {
      process.seteuid?.(0)
    }
  })
})

test('removeInstance() succeeds once the worker has ended whose descriptors held it', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  const { instancePath, close } = open()
  // Another exporter that starts just now leaves it alone.
  const release = holdInstance(instancePath)
  close()
  opened.splice(0)
  const code = `
    const { openSync } = require('node:fs')
    const { parentPort, workerData } = require('node:worker_threads')
    openSync(workerData + '/per_cpu/cpu0/trace_pipe_raw', 'r')
    parentPort.postMessage('open')
    parentPort.on('message', () => {})`
  const worker = new Worker(code, { eval: true, workerData: instancePath })
  await once(worker, 'message')
  release()
  expect(removeInstance(instancePath)).toBe(false)
  await worker.terminate()
  expect(removeInstance(instancePath)).toBe(true)
  expect(removeInstance(instancePath)).toBe(true)
})
