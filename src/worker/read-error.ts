// A refused or garbled read -> data; this is the one place where that happens.

import { DecodeError, SourceError } from '../observation.ts'
import type { ReadError } from '../snapshot.ts'

/** The reason of a failed read; what is neither refusal nor garbage is a fault of ours and passes through. */
export function judgeReadError(error: unknown): ReadError {
  if (error instanceof SourceError) return { reason: error.reason, message: error.message }
  if (error instanceof DecodeError) return { reason: 'malformed', message: error.message }
  throw error
}

/** What went wrong in it, undefined where nothing did. */
export function attempt(call: () => void): ReadError | undefined {
  try {
    call()
    return undefined
  } catch (error) {
    return judgeReadError(error)
  }
}
