// Asks the exporter that runs on this host for its last sample, which knows risk, ETA and whose the TIME_WAITs were.

import { get } from 'node:http'
import type { Build, Snapshot } from '../snapshot.ts'

export interface ExporterAnswer {
  readonly snapshot: Snapshot
  /** Where it listens. */
  readonly address: string
}

export interface ExporterQuestion {
  readonly addresses: readonly { readonly host: string | undefined; readonly port: number }[]
  /** What another version calls by the same name may be something else. */
  readonly version: string
}

const TIMEOUT_MS = 1000
const MOST_BYTES = 64 * 1024 * 1024
/** What listens on every address listens on these. */
const everywhere: readonly (string | undefined)[] = [undefined, '', '0.0.0.0', '::']

/**
 * Undefined where none answers, or one of another version, or one that wants TLS or a password; and where it knows nothing of
 * any namespace, since its samples do not come any more.
 */
export async function askExporter(question: ExporterQuestion): Promise<ExporterAnswer | undefined> {
  for (const { host, port } of question.addresses) {
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
    const answer = JSON.parse(text) as { build?: Build; snapshot?: Snapshot }
    return answer.build?.version === version ? answer.snapshot : undefined
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
  return new Promise((resolve) => {
    const request = get({ ...options, timeout: TIMEOUT_MS, agent: false }, (response) => {
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
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(undefined))
    request.on('close', () => resolve(undefined))
  })
}
