// Compares passwords with bcrypt hashes in a thread that exists only while it is needed: bcryptjs yields every 100 ms,
// which would hold up a scraper meanwhile, and an idle thread would cost megabytes for nothing.

import { Worker } from 'node:worker_threads'
import type { BcryptAnswer, BcryptQuestion } from './bcrypt-messages.ts'

export interface BcryptThread {
  /** Compares a password with a hash. Ask again only after it has answered. Rejects where the thread cannot run. */
  matches(password: string, hash: string): Promise<boolean>
}

const IDLE_MS = 5000
/** It needs four tables of 256 numbers, and must not be why the process is ended for its memory. */
const resourceLimits = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 }

export function createBcryptThread({
  script = new URL('./bcrypt-worker.js', import.meta.url),
  idleMs = IDLE_MS,
} = {}): BcryptThread {
  let worker: Worker | undefined
  let idle: NodeJS.Timeout | undefined
  return {
    matches(password, hash) {
      clearTimeout(idle)
      worker ??= start()
      const asked = worker
      return new Promise<boolean>((resolve, reject) => {
        const onMessage = (answer: BcryptAnswer) => {
          leave()
          idle = setTimeout(() => end(asked), idleMs).unref()
          resolve(answer)
        }
        const onError = (error: unknown) => {
          leave()
          end(asked)
          reject(new Error('Cannot compare a password with its hash', { cause: error }))
        }
        const onExit = (code: number) => onError(new Error(`The thread ended with ${code}`))
        const leave = () => {
          asked.off('message', onMessage).off('error', onError).off('exit', onExit)
        }
        asked.on('message', onMessage).on('error', onError).on('exit', onExit)
        const question: BcryptQuestion = { password, hash }
        asked.postMessage(question)
      })
    },
  }

  function start(): Worker {
    const started = new Worker(script, { resourceLimits, name: 'bcrypt' })
    // Nobody waits for it at the end of the program, and nothing that it does while idle may end the program.
    started.unref()
    started.on('error', () => end(started)).on('exit', () => end(started))
    return started
  }

  function end(ended: Worker): void {
    if (worker === ended) worker = undefined
    void ended.terminate()
  }
}
