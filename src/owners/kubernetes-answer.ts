// An answer of the Kubernetes API that is not the list asked for -> why, in words for whoever has to mend it.

import { PodListError, type PodListFailure } from './kubernetes-failure.ts'

export interface Answer {
  readonly status: number
  /** Header Content-Type, empty where there is none. */
  readonly contentType: string
  readonly retryAfter: string | undefined
  /** Header Date. */
  readonly date: string | undefined
  /** Where the status is not 200 perhaps only the beginning. */
  readonly text: string
}

/** Nobody asks a client to stay away for longer and means it. */
const LONGEST_RETRY_AFTER_MS = 3_600_000
const LONGEST_QUOTE = 300

/** The failure behind an answer whose status is not 200; `server` is what was asked, in words. */
export function judgeRefusal(answer: Answer, server: string): PodListError {
  const { status } = answer
  const said = takeServerMessage(answer)
  const message = `${server} answered ${status}${explain(status)}${said && `: ${said}`}`
  const mayAskToWait = status === 429 || status >= 500
  return new PodListError(reasonOf(status), message, {
    retryAfterMs: mayAskToWait ? parseRetryAfterMs(answer) : undefined,
  })
}

export function isJson({ contentType }: Answer): boolean {
  return /^application\/json\s*(;|$)/i.test(contentType)
}

function reasonOf(status: number): PodListFailure {
  if (status === 401) return 'unauthorized'
  if (status === 403) return 'forbidden'
  if (status === 429) return 'throttled'
  // 410: not even the newest version could be listed. 408: it gave up waiting for us.
  if (status === 408 || status === 410 || status >= 500) return 'unavailable'
  return 'malformed'
}

function explain(status: number): string {
  if (status === 401) return ', the service account token is not accepted'
  if (status === 403) {
    return ', the service account needs a ClusterRole with the verb "list" on the resource "pods"'
  }
  if (status >= 300 && status < 400) return ', and redirects are not followed'
  return ''
}

/** The message of a v1 Status, in which the API server says more; empty where there is none. */
function takeServerMessage(answer: Answer): string {
  if (!isJson(answer)) return ''
  try {
    const body: unknown = JSON.parse(answer.text)
    const message = (body as { message?: unknown } | null)?.message
    return typeof message === 'string' ? message.slice(0, LONGEST_QUOTE) : ''
  } catch {
    return ''
  }
}

/** Seconds or a date; the date counts from the server's own clock, since ours may differ. */
function parseRetryAfterMs({ retryAfter = '', date = '' }: Answer): number | undefined {
  const ms = /^\d+$/.test(retryAfter.trim())
    ? Number(retryAfter) * 1000
    : Date.parse(retryAfter) - Date.parse(date)
  return ms >= 0 ? Math.min(ms, LONGEST_RETRY_AFTER_MS) : undefined
}
