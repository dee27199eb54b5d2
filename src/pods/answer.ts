// One GET to the Kubernetes API over HTTPS: request -> status, a few headers and text, or the reason why there is no
// list, in words for a user who has to mend it. No proxy, no redirects, no connection kept: the next request may be
// hours away.

import type { ClientRequest, IncomingMessage } from 'node:http'
import { request as openRequest } from 'node:https'
import { TLSSocket } from 'node:tls'
import { codeOf } from '../error-code.ts'
import { joinHostPort } from '../host-port.ts'

/** Why the pods of this node could not be listed. */
export type PodListFailure =
  /** The token is missing or not accepted. */
  | 'unauthorized'
  /** The token is accepted, but its account may not list pods. */
  | 'forbidden'
  | 'throttled'
  /** The API server answers, but cannot serve the list now. */
  | 'unavailable'
  /** No connection, or one that broke. */
  | 'unreachable'
  /** The CA cannot be read, or the server's certificate is not one that it signed for this host. */
  | 'untrusted'
  | 'timeout'
  /** An answer that is no list of pods, or only a part of one. */
  | 'malformed'
  /** A list without pods, although this program runs in one: the node's name is wrong. */
  | 'empty'

/** The list could not be had. Judged in one place, the pod directory, where it becomes data. */
export class PodListError extends Error {
  readonly reason: PodListFailure
  /** How long the server asked us to stay away. */
  readonly retryAfterMs: number | undefined

  constructor(
    reason: PodListFailure,
    message: string,
    options: ErrorOptions & { readonly retryAfterMs?: number | undefined } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = 'PodListError'
    this.reason = reason
    this.retryAfterMs = options.retryAfterMs
  }
}

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

export interface Get {
  /** A name or an address, IPv6 without brackets; the certificate must be valid for it. */
  readonly host: string
  readonly port: number
  readonly path: string
  readonly token: string
  /** PEM; nothing else is trusted. */
  readonly ca: string | Buffer
  readonly maxBytes: number
  /** Ends the request; its reason is thrown. */
  readonly signal: AbortSignal
}

/** What is worth reading of an answer that refuses. */
const REFUSAL_BYTES = 65_536

/** Throws PodListError, or the signal's reason. */
export function readAnswer(get: Get): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let request: ClientRequest | undefined
    const abort = () => settle(() => reject(get.signal.reason))
    const settle = (outcome: () => void) => {
      get.signal.removeEventListener('abort', abort)
      outcome()
      request?.destroy()
    }
    const fail = (error: unknown) => settle(() => reject(explainFailure(error, get, request)))
    get.signal.throwIfAborted()
    get.signal.addEventListener('abort', abort)
    try {
      request = openRequest({
        host: get.host,
        port: get.port,
        path: get.path,
        ca: get.ca,
        headers: {
          accept: 'application/json',
          'accept-encoding': 'identity',
          authorization: `Bearer ${get.token}`,
          'user-agent': 'ephemeral-port-exporter',
        },
        agent: false,
        // Said aloud: NODE_TLS_REJECT_UNAUTHORIZED=0 must not send the token to anybody.
        rejectUnauthorized: true,
      })
    } catch (error) {
      fail(error)
      return
    }
    // Stays on after the promise is settled: destroying may raise one more error.
    request.on('error', fail)
    request.on('response', (response) => {
      response.on('error', fail)
      collect(response, get, (answer) => settle(() => resolve(answer)), fail)
    })
    request.end()
  })
}

function collect(
  response: IncomingMessage,
  { maxBytes }: Get,
  done: (answer: Answer) => void,
  fail: (error: unknown) => void,
): void {
  const { statusCode: status = 0, headers } = response
  const chunks: Buffer[] = []
  let bytes = 0
  const finish = () =>
    done({
      status,
      contentType: headers['content-type'] ?? '',
      retryAfter: headers['retry-after'],
      date: headers.date,
      text: Buffer.concat(chunks).toString(),
    })
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') {
    fail(new PodListError('malformed', `Cannot read an answer in encoding "${encoding}"`))
    return
  }
  response.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    bytes += chunk.length
    if (status !== 200 && bytes > REFUSAL_BYTES) finish()
    else if (bytes > maxBytes) {
      fail(new PodListError('malformed', `The list of pods is longer than ${maxBytes} bytes`))
    }
  })
  response.on('end', finish)
}

function explainFailure(error: unknown, get: Get, request: ClientRequest | undefined): unknown {
  if (error instanceof PodListError) return error
  const { message, code } = describe(error)
  const where = `https://${joinHostPort(get)}`
  return new PodListError(
    reasonOfCode(code, request),
    `Cannot get an answer from ${where}: ${message || code}`,
    { cause: error },
  )
}

function describe(error: unknown): { message: string; code: string } {
  if (!(error instanceof Error)) return { message: String(error), code: '' }
  // A name with several addresses fails with an AggregateError, whose message is empty.
  return { message: error.message, code: codeOf(error) ?? '' }
}

function reasonOfCode(code: string, request: ClientRequest | undefined): PodListFailure {
  const socket = request?.socket
  if (socket instanceof TLSSocket && socket.authorizationError) return 'untrusted'
  // EPROTO and ERR_SSL_*: what answers there speaks no TLS that we do. ERR_OSSL_*: the CA is no certificate.
  if (/^(EPROTO|ERR_SSL_|ERR_OSSL_|ERR_TLS_)/.test(code)) return 'untrusted'
  return code.startsWith('HPE_') ? 'malformed' : 'unreachable'
}
