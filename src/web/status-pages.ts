// The pages for people and what they are as text: Accept header and name -> status, type and body. The page of all
// namespaces is made once for each sample, second of its age and type, and all who ask share one copy.

import { renderNamespaceDetails } from '../cli/namespace-text.ts'
import { renderStatus as renderStatusText } from '../cli/status.ts'
import { plainText } from '../cli/text.ts'
import type { Diagnosis } from '../diagnosis/diagnose.ts'
import { type Build, hasState, type Snapshot } from '../snapshot.ts'
import { renderNamespacePage } from './namespace-page.ts'
import { acceptsHtml } from './negotiate.ts'
import { type Frame, renderPage } from './page.ts'
import { renderStatusPage, type StatusPage } from './status-page.ts'

export interface StatusAnswer {
  readonly status: number
  readonly type: 'html' | 'text'
  readonly body: string | Buffer
  /** When the browser is to ask again. */
  readonly refreshSeconds: number
}

export interface StatusQuestion {
  readonly accept: string | undefined
  /** Name of a namespace, undefined for the page of all. */
  readonly name?: string | undefined
}

export interface StatusPages {
  renderStatus(question: StatusQuestion): StatusAnswer
  renderNamespace(question: StatusQuestion): StatusAnswer
}

export interface StatusPagesOptions {
  readonly build: Build
  readonly host: string
  readonly telemetryPath: string
  readonly currentSnapshot: () => Snapshot | undefined
  readonly diagnose: (snapshot: Snapshot) => Diagnosis
  readonly readiness: () => { readonly reason: string }
}

/** Long enough to read a command and to copy it. */
const LEAST_REFRESH_SECONDS = 15
const FIRST_SAMPLE_SECONDS = 2

export function createStatusPages(options: StatusPagesOptions): StatusPages {
  const { build, host, telemetryPath, currentSnapshot, diagnose } = options
  const frame: Frame = {
    build,
    host,
    links: [
      { path: telemetryPath, text: 'Metrics' },
      { path: '/api/v1/diagnosis', text: 'Diagnosis as JSON' },
      { path: '/api/v1/snapshot', text: 'Last sample as JSON' },
      { path: '/-/healthy', text: 'Health' },
      { path: '/-/ready', text: 'Readiness' },
    ],
  }
  const kept = {
    html: new WeakMap<Snapshot, { readonly ageSeconds: number; readonly body: Buffer }>(),
    text: new WeakMap<Snapshot, { readonly ageSeconds: number; readonly body: Buffer }>(),
  }

  function lookAt(snapshot: Snapshot): StatusPage {
    const ageSeconds = Math.max(0, Math.round(Date.now() / 1000 - snapshot.takenAtSeconds))
    return { ...frame, snapshot, diagnosis: diagnose(snapshot), ageSeconds }
  }

  function renderKept(page: StatusPage, type: keyof typeof kept): Buffer {
    const known = kept[type].get(page.snapshot)
    if (known?.ageSeconds === page.ageSeconds) return known.body
    const body = Buffer.from(type === 'html' ? renderStatusPage(page) : renderText(page))
    kept[type].set(page.snapshot, { ageSeconds: page.ageSeconds, body })
    return body
  }

  function answer(
    { accept }: StatusQuestion,
    render: (page: StatusPage, html: boolean) => string | Buffer | undefined,
  ): StatusAnswer {
    const html = acceptsHtml(accept)
    const type = html ? 'html' : 'text'
    const snapshot = currentSnapshot()
    if (snapshot === undefined) {
      const reason = renderNoSample(options.readiness().reason)
      const body = html ? renderNotice(frame, reason) : `${reason}\n`
      return { status: 503, type, body, refreshSeconds: FIRST_SAMPLE_SECONDS }
    }
    const refreshSeconds = Math.max(LEAST_REFRESH_SECONDS, Math.ceil(snapshot.intervalSeconds))
    const body = render(lookAt(snapshot), html)
    if (body !== undefined) return { status: 200, type, body, refreshSeconds }
    const missing = 'There is no network namespace of that name now'
    const notice = html ? renderNotice(frame, missing) : `${missing}\n`
    return { status: 404, type, body: notice, refreshSeconds }
  }

  return {
    renderStatus: (question) =>
      answer(question, (page, html) => renderKept(page, html ? 'html' : 'text')),
    renderNamespace: (question) =>
      answer(question, (page, html) => {
        const namespace = page.snapshot.namespaces.find(({ netns }) => netns === question.name)
        if (namespace === undefined) return undefined
        if (html) return renderNamespacePage(page, namespace)
        if (!hasState(namespace)) return `${namespace.failure?.message ?? 'It cannot be read'}\n`
        const blocks = renderNamespaceDetails(namespace, plainText).filter(
          (lines) => lines.length > 0,
        )
        return `${blocks.map((lines) => lines.join('\n')).join('\n\n')}\n`
      }),
  }
}

function renderText({ snapshot, diagnosis, ageSeconds }: StatusPage): string {
  return renderStatusText({ snapshot, diagnosis, origin: `sampled ${ageSeconds} s ago` })
}

function renderNotice(frame: Frame, title: string): string {
  return renderPage(frame, {
    title,
    severity: 'note',
    subtitle: '',
    body: '<p><a href="/">All namespaces</a></p>',
  })
}

/** What is said until there is something to show. */
export function renderNoSample(reason: string): string {
  return reason.startsWith('No sample') ? reason : `No sample has been taken yet: ${reason}`
}
