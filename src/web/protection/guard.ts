// Stands before the app: response headers, rate limit and basic authentication of the web configuration in force.

import type { RequestListener, ServerResponse } from 'node:http'
import type { Attempt, Verdict } from './credentials.ts'
import { createRateLimiter, type RateLimit } from './rate-limit.ts'
import type { WebConfig } from './web-config.ts'

export interface GuardOptions {
  readonly current: () => WebConfig
  readonly check: (attempt: Attempt) => Verdict | Promise<Verdict>
  /** Learns why a request was answered with 500. */
  readonly onError: (error: unknown) => void
}

/** Everything is protected, the health paths included, as by the exporter-toolkit. */
export function createGuard(
  app: RequestListener,
  { current, check, onError }: GuardOptions,
): RequestListener {
  let limit: RateLimit | undefined
  let passes = () => true
  return (request, response) => {
    const { headers, rateLimit, users } = current()
    for (const [name, value] of headers) response.setHeader(name, value)
    if (rateLimit?.burst !== limit?.burst || rateLimit?.intervalMs !== limit?.intervalMs) {
      limit = rateLimit
      passes = rateLimit === undefined ? () => true : createRateLimiter(rateLimit)
    }
    if (!passes()) return answer(response, 429, 'Too many requests')
    if (users.size === 0) return app(request, response)

    const { authorization } = request.headers
    const client = request.socket.remoteAddress ?? ''
    const act = (verdict: Verdict) => {
      if (verdict === 'admitted') app(request, response)
      else if (verdict === 'refused') refuse(response)
      else answer(response, 429, 'Too many passwords are being checked')
    }
    const verdict = check({ authorization, users, client })
    if (typeof verdict === 'string') return act(verdict)
    verdict.then(act).catch((error: unknown) => {
      onError(error)
      if (!response.headersSent) answer(response, 500, 'Internal error, the log says more')
    })
  }
}

function refuse(response: ServerResponse): void {
  response.setHeader('WWW-Authenticate', 'Basic realm="ephemeral-port-exporter", charset="UTF-8"')
  answer(response, 401, 'Unauthorized')
}

function answer(response: ServerResponse, status: number, text: string): void {
  if (status === 429) response.setHeader('Retry-After', '1')
  response.statusCode = status
  response.setHeader('Content-Type', 'text/plain; charset=utf-8')
  response.setHeader('X-Content-Type-Options', 'nosniff')
  response.end(`${text}\n`)
}
