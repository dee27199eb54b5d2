// Asks the exporter that runs on this host for its last sample, which knows risk, ETA and whose the TIME_WAITs were.

import { get } from 'node:http'
import type { Build, Snapshot } from '../snapshot.ts'
import { isSnapshot } from './snapshot-shape.ts'

export interface ExporterAnswer {
  readonly snapshot: Snapshot
  /** Where it listens. */
  readonly address: string
}

export interface ExporterQuestion {
  readonly addresses: readonly { readonly host: string | undefined; readonly port: number }[]
  /** What another version calls by the same name may be something else. */
  readonly version: string
  /** Whether who listens on that port of this machine is to be believed. */
  readonly isTrusted: (port: number) => boolean
}

/** How long the whole answer may take: a listener that never comes to an end holds nobody up. */
const DEADLINE_MS = 3000
const MOST_BYTES = 64 * 1024 * 1024
/** What listens on every address listens on these. */
const everywhere: readonly (string | undefined)[] = [undefined, '', '0.0.0.0', '::']

/**
 * Undefined where none answers, or one of another version or another user, or one that wants TLS or a password; where
 * the answer is no Snapshot; and where it knows nothing of any namespace, since its samples do not come any more.
 */
export async function askExporter(question: ExporterQuestion): Promise<ExporterAnswer | undefined> {
  for (const { host, port } of question.addresses) {
    if (!question.isTrusted(port)) continue
    const name = everywhere.includes(host) ? '127.0.0.1' : (host ?? '')
    const text = await fetchText({ host: name, port, path: '/api/v1/snapshot' })
    const snapshot = text === undefined ? undefined : readSnapshot(text, question.version)
    if (snapshot?.namespaces.some(({ state }) => state !== undefined))
      return { snapshot, address: `${name}:${port}` }
  }
  return undefined
}

function readSnapshot(text: string, version: string): Snapshot | undefined {
  try {
    const answer = JSON.parse(text) as { build?: Build; snapshot?: unknown } | null
    const { build, snapshot } = answer ?? {}
    return build?.version === version && isSnapshot(snapshot) ? snapshot : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function fetchText(options: {
  readonly host: string
  readonly port: number
  readonly path: string
}): Promise<string | undefined> {
  const signal = AbortSignal.timeout(DEADLINE_MS)
  return new Promise((resolve) => {
    const request = get({ ...options, signal, agent: false }, (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > MOST_BYTES) request.destroy()
        else chunks.push(chunk)
      })
      response.on('end', () =>
        resolve(response.statusCode === 200 ? Buffer.concat(chunks).toString() : undefined),
      )
      response.on('error', () => resolve(undefined))
    })
    request.on('error', () => resolve(undefined))
    request.on('close', () => resolve(undefined))
  })
}
