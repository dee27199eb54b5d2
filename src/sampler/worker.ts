// The worker thread: blocking system calls live here. Opens the source once, then takes a sample whenever it is asked.

import { parentPort, workerData } from 'node:worker_threads'
import { createStep } from '../model/step.ts'
import { DecodeError, SourceError } from '../observation.ts'
import { type OpenedSource, openSource } from '../sources/sources.ts'
import type { FromWorker, ToWorker, WorkerOptions } from './messages.ts'
import { createTakeSample } from './sample.ts'
import { createThreadCpuClock } from './thread-cpu.ts'

if (parentPort === null) throw new Error('Cannot run outside a worker thread')
const port = parentPort
const options: WorkerOptions = workerData
const answer = (message: FromWorker) => port.postMessage(message)

const opened = await open()
if (opened !== undefined) {
  const { source, refusals } = opened
  const takeSample = createTakeSample(source, createStep(options), {
    unixSeconds: () => Date.now() / 1000,
    monotonicSeconds: () => performance.now() / 1000,
    cpuSeconds: createThreadCpuClock(),
  })
  port.on('message', async (_request: ToWorker) => {
    answer({ type: 'sampled', sample: await takeSample() })
  })
  answer({ type: 'opened', reader: source.reader, traits: source.traits, refusals })
}

async function open(): Promise<OpenedSource | undefined> {
  try {
    return await openSource(options.source, options)
  } catch (error) {
    if (!(error instanceof SourceError || error instanceof DecodeError)) throw error
    answer({ type: 'refused', message: error.message })
    return undefined
  }
}
