// Asks the exporter that runs on this host for its last sample, which knows risk, ETA and whose the TIME_WAITs were.

import { type ClientRequest, get, type IncomingMessage } from 'node:http'
import { startCountdown } from '../countdown.ts'
import type { Build, Snapshot } from '../snapshot.ts'
import { isOwnPeer } from './own-peer.ts'
import { isSnapshot } from './snapshot-shape.ts'

export interface ExporterAnswer {
  readonly snapshot: Snapshot
  /** Where it listens. */
  readonly address: string
}

/** Somebody answers and turns this command away. */
export interface ExporterRefusal {
  /** Why it does: "the exporter at 127.0.0.1:10132 asks for a password". */
  readonly refusal: string
}

export interface ExporterQuestion {
  readonly addresses: readonly { readonly host: string | undefined; readonly port: number }[]
  /** What another version calls by the same name may be something else. */
  readonly version: string
  /** Whether who listens on that port of this machine is to be believed. */
  readonly isTrusted: (port: number) => boolean
}

/** How long an address may take, by both protocols: a listener that never comes to an end holds nobody up. */
const DEADLINE_SECONDS = 3
const MOST_BYTES = 64 * 1024 * 1024
/** What listens on every address listens on these. */
const everywhere: readonly (string | undefined)[] = [undefined, '', '0.0.0.0', '::']

/**
 * Undefined where none answers, or one of another version or another user; where the answer is no Snapshot; and where
 * it knows nothing of any namespace, since its samples do not come any more. Asks by TLS where plain HTTP is not
 * spoken.
 */
export async function askExporter(
  question: ExporterQuestion,
): Promise<ExporterAnswer | ExporterRefusal | undefined> {
  let refused: ExporterRefusal | undefined
  for (const { host, port } of question.addresses) {
    if (!question.isTrusted(port)) continue
    const name = everywhere.includes(host) ? '127.0.0.1' : (host ?? '')
    const address = `${name}:${port}`
    const { text, refusal } = await fetchSnapshot({ host: name, port })
    const snapshot = text === undefined ? undefined : readSnapshot(text, question.version)
    if (snapshot?.namespaces.some(({ state }) => state !== undefined)) return { snapshot, address }
    if (refusal !== undefined) refused ??= { refusal: `the exporter at ${address} ${refusal}` }
  }
  return refused
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

interface Address {
  readonly host: string
  readonly port: number
}

interface Fetched {
  readonly text?: string
  readonly refusal?: string | undefined
  /** Whether it may be TLS that is spoken there. */
  readonly isPlainRefused?: boolean
}

async function fetchSnapshot(address: Address): Promise<Fetched> {
  const deadline = new AbortController()
  const countdown = startCountdown(DEADLINE_SECONDS, () => deadline.abort())
  try {
    return await fetchUntil(address, deadline.signal)
  } finally {
    clearInterval(countdown)
  }
}

async function fetchUntil(address: Address, signal: AbortSignal): Promise<Fetched> {
  const options = { ...address, path: '/api/v1/snapshot', agent: false, signal }
  const plain = await collect((answer) => get(options, answer), signal)
  if (!plain.isPlainRefused) return plain
  const https = await import('node:https')
  // No authority is asked about the certificate, whose name is rarely that of a loopback address: the connection does
  // not leave this machine, the kernel has told who listens on that port here, and nothing secret is sent.
  const secure = { ...options, rejectUnauthorized: false }
  return await collect((answer) => https.get(secure, answer), signal)
}

function collect(
  ask: (answer: (response: IncomingMessage) => void) => ClientRequest,
  signal: AbortSignal,
): Promise<Fetched> {
  return new Promise((resolve) => {
    let isSecured = false
    const request = ask((response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > MOST_BYTES) request.destroy()
        else chunks.push(chunk)
      })
      response.on('end', () =>
        resolve(readAnswer(response.statusCode, Buffer.concat(chunks).toString())),
      )
      response.on('error', () => resolve({}))
    })
    request.on('socket', (socket) => {
      // A name, or an address that has moved, may lead to another machine, whose listeners nobody knows here.
      socket.once('connect', () => {
        if (!isOwnPeer(socket)) request.destroy(new Error('not this machine'))
      })
      socket.once('secureConnect', () => {
        isSecured = true
      })
    })
    request.on('error', ({ code = '', message }: NodeJS.ErrnoException) => {
      const isReset = /^(ECONNRESET|EPIPE|EPROTO|ERR_SSL_)/.test(code) && !signal.aborted
      // TLS 1.3 turns a client without a certificate away once its handshake is over, TLS 1.2 with an alert.
      const isAlert = /alert.handshake.failure/i.test(`${code} ${message}`)
      const isUncertified = isReset && (isSecured || isAlert)
      resolve({
        refusal: isUncertified ? 'lets in no client without a certificate' : undefined,
        isPlainRefused: isReset,
      })
    })
    request.on('close', () => resolve({}))
  })
}

function readAnswer(status: number | undefined, text: string): Fetched {
  if (status === 200) return { text }
  if (status === 401) return { refusal: 'asks for a password' }
  if (status === 429) return { refusal: 'has a rate limit that is used up' }
  return { isPlainRefused: status === 400 }
}
