// The thread that compares passwords with bcrypt hashes, and does nothing else.

import { parentPort } from 'node:worker_threads'
import { compareSync } from 'bcryptjs'
import type { BcryptAnswer, BcryptQuestion } from './bcrypt-messages.ts'

parentPort?.on('message', ({ password, hash }: BcryptQuestion) => {
  const answer: BcryptAnswer = compareSync(password, hash)
  parentPort?.postMessage(answer)
})
