// A refused or garbled read -> data; this is the one place where that happens.

import { DecodeError, type FailureReason, SourceError } from '../observation.ts'

export interface Failure {
  readonly reason: FailureReason
  readonly message: string
}

/** The reason of a failed read; what is neither refusal nor garbage is a fault of ours and passes through. */
export function judgeFailure(error: unknown): Failure {
  if (error instanceof SourceError) return { reason: error.reason, message: error.message }
  if (error instanceof DecodeError) return { reason: 'malformed', message: error.message }
  throw error
}
