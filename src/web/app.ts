// The HTTP side: what the rest of the program knows -> an express app. It renders and never samples.

import express, { type Express, type NextFunction, type Request, type Response } from 'express'
import type { Diagnosis } from '../diagnosis/diagnose.ts'
import type { PageRenderer } from '../metrics/page.ts'
import { contentTypes } from '../metrics/render.ts'
import type { Build, Snapshot } from '../snapshot.ts'
import { acceptsGzip, negotiateFormat } from './negotiate.ts'
import { pagePolicy } from './page.ts'
import { createStatusPages, renderNoSample, type StatusPages } from './status-pages.ts'

export interface AppOptions {
  readonly build: Build
  readonly renderer: PageRenderer
  /** Undefined before the first sample. */
  readonly currentSnapshot: () => Snapshot | undefined
  readonly diagnose: (snapshot: Snapshot) => Diagnosis
  /** Name of the machine. */
  readonly host: string
  /** `reason` is shown to everybody who asks. */
  readonly readiness: () => { readonly ready: boolean; readonly reason: string }
  readonly healthy: () => boolean
  /** Where the metrics are, taken literally; `/` leaves no room for the landing page. */
  readonly telemetryPath: string
  /** Learns of what was answered with 500. */
  readonly onError?: (error: unknown) => void
}

type Handler = (request: Request, response: Response) => void | Promise<void>

const TEXT = 'text/plain; charset=utf-8'
const HTML = 'text/html; charset=utf-8'
/** A smaller page gains nothing from compression. */
const GZIP_FROM_BYTES = 1024

export function createApp(options: AppOptions): Express {
  const { build, renderer, currentSnapshot, readiness, healthy, telemetryPath } = options
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.use((_request: Request, response: Response, next: NextFunction) => {
    response.setHeader('X-Content-Type-Options', 'nosniff')
    next()
  })

  serve(telemetryPath, async (request, response) => {
    const snapshot = currentSnapshot()
    if (snapshot === undefined) return sendNoSample(response)
    const format = negotiateFormat(request.headers.accept)
    const page = await renderer.render(snapshot, format)
    response.setHeader('Vary', 'Accept, Accept-Encoding')
    const encoding = request.headers['accept-encoding']?.toString()
    if (page.body.length <= GZIP_FROM_BYTES || !acceptsGzip(encoding)) {
      return send(response, 200, { type: contentTypes[format], body: page.body })
    }
    const body = await page.gzipped()
    response.setHeader('Content-Encoding', 'gzip')
    send(response, 200, { type: contentTypes[format], body })
  })

  serve('/-/healthy', (_request, response) => {
    if (healthy()) sendText(response, 200, 'Healthy')
    else sendText(response, 503, 'Not healthy')
  })

  serve('/-/ready', (_request, response) => {
    const { ready, reason } = readiness()
    if (ready) sendText(response, 200, 'Ready')
    else sendText(response, 503, `Not ready: ${reason}`)
  })

  const snapshotJson = createJsonCache((snapshot) => ({ build, snapshot }))
  const diagnosisJson = createJsonCache((snapshot) => ({
    build,
    diagnosis: options.diagnose(snapshot),
  }))
  for (const [path, toJson] of [
    ['/api/v1/snapshot', snapshotJson],
    ['/api/v1/diagnosis', diagnosisJson],
  ] as const) {
    serve(path, (_request, response) => {
      const snapshot = currentSnapshot()
      if (snapshot === undefined) return sendNoSample(response)
      send(response, 200, { type: 'application/json; charset=utf-8', body: toJson(snapshot) })
    })
  }

  if (telemetryPath !== '/') {
    const pages = createStatusPages(options)
    app.route('/').get(show(pages.renderStatus)).all(refuseMethod)
    // The name of a namespace may hold slashes.
    app.route('/namespaces/*name').get(show(pages.renderNamespace)).all(refuseMethod)
  }

  function show(render: StatusPages[keyof StatusPages]): Handler {
    return (request, response) => {
      const { name } = request.params
      const { status, type, body, refreshSeconds } = render({
        accept: request.headers.accept,
        name: Array.isArray(name) ? name.join('/') : name,
      })
      if (type === 'html') response.setHeader('Refresh', String(refreshSeconds))
      if (!response.hasHeader('Content-Security-Policy')) {
        response.setHeader('Content-Security-Policy', pagePolicy)
      }
      response.setHeader('Vary', 'Accept')
      send(response, status, { type: type === 'html' ? HTML : TEXT, body })
    }
  }

  app.use((_request: Request, response: Response) => {
    sendText(response, 404, `Not found. The metrics are at ${telemetryPath}`)
  })

  // NB: express knows an error handler by its four parameters.
  app.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    const status = statusOf(error)
    if (status < 500) return sendText(response, status, 'Bad request')
    options.onError?.(error)
    if (response.headersSent) return next(error) // cuts the connection, so that half a page is no page
    for (const name of ['Content-Encoding', 'Vary']) response.removeHeader(name)
    sendText(response, 500, 'Internal error, the log says more')
  })

  function serve(path: string, handler: Handler): void {
    app.route(escapePath(path)).get(handler).all(refuseMethod)
  }

  function sendNoSample(response: Response): void {
    sendText(response, 503, renderNoSample(readiness().reason))
  }

  return app
}

/**
 * Takes the status of an error that express made of the request itself, such as a path with a malformed percent
 * sequence; else 500.
 */
function statusOf(error: unknown): number {
  const status = error instanceof Error && 'status' in error ? Number(error.status) : 500
  return status >= 400 && status < 500 ? status : 500
}

function refuseMethod(request: Request, response: Response): void {
  response.setHeader('Allow', 'GET, HEAD')
  sendText(response, 405, `Method ${request.method} is not allowed, only GET and HEAD`)
}

function sendText(response: Response, status: number, text: string): void {
  send(response, status, { type: TEXT, body: `${text}\n` })
}

// Not response.send(), which rewrites the parameters of Content-Type. node:http leaves the body out for HEAD.
function send(
  response: Response,
  status: number,
  content: { readonly type: string; readonly body: string | Buffer },
): void {
  response.statusCode = status
  response.setHeader('Content-Type', content.type)
  response.setHeader('Content-Length', Buffer.byteLength(content.body))
  response.end(content.body)
}

/** Makes the text of a Snapshot when first asked for, and then only hands it out. */
function createJsonCache(describe: (snapshot: Snapshot) => object): (snapshot: Snapshot) => Buffer {
  const texts = new WeakMap<Snapshot, Buffer>()
  return (snapshot) => {
    const known = texts.get(snapshot)
    if (known !== undefined) return known
    const text = Buffer.from(JSON.stringify(describe(snapshot)))
    texts.set(snapshot, text)
    return text
  }
}

/** What path-to-regexp would read as a pattern stands for itself. */
function escapePath(path: string): string {
  return path.replace(/[\\{}()[\]+?!:*]/g, '\\$&')
}
