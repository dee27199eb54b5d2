// One GET over HTTPS: request -> status, a few headers and text, or the reason why there is no answer. No proxy, no
// redirects, no connection kept: the next request may be hours away.

import type { ClientRequest, IncomingMessage } from 'node:http'
import { request as openRequest } from 'node:https'
import { TLSSocket } from 'node:tls'
import type { Answer } from './kubernetes-answer.ts'
import { PodListError, type PodListFailure } from './kubernetes-failure.ts'

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
  const host = get.host.includes(':') ? `[${get.host}]` : get.host
  const where = `https://${host}:${get.port}`
  return new PodListError(
    reasonOf(code, request),
    `Cannot get an answer from ${where}: ${message || code}`,
    { cause: error },
  )
}

function describe(error: unknown): { message: string; code: string } {
  if (!(error instanceof Error)) return { message: String(error), code: '' }
  // A name with several addresses fails with an AggregateError, whose message is empty.
  return { message: error.message, code: 'code' in error ? String(error.code) : '' }
}

function reasonOf(code: string, request: ClientRequest | undefined): PodListFailure {
  const socket = request?.socket
  if (socket instanceof TLSSocket && socket.authorizationError) return 'untrusted'
  // EPROTO and ERR_SSL_*: what answers there speaks no TLS that we do. ERR_OSSL_*: the CA is no certificate.
  if (/^(EPROTO|ERR_SSL_|ERR_OSSL_|ERR_TLS_)/.test(code)) return 'untrusted'
  return code.startsWith('HPE_') ? 'malformed' : 'unreachable'
}
