// A refused system call -> SourceError that says what could not be done. Pure.

import { SourceError } from '../observation.ts'
import { errnoReason } from './errno.ts'
import { SystemError } from './libc.ts'

/**
 * Makes a SourceError of a SystemError, `${action}: socket: EMFILE`, with the reason of its errno; others stay what
 * they are.
 */
export function explainRefusal(action: string, error: unknown): unknown {
  if (!(error instanceof SystemError)) return error
  return new SourceError(errnoReason(error.code), `${action}: ${error.message}`, { cause: error })
}

/** Calls, and throws what explainRefusal() makes of what was thrown. */
export function refusable<T>(action: string, call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw explainRefusal(action, error)
  }
}
