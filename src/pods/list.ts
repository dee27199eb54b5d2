// The pods of one node as the Kubernetes API lists them, read once. Needs the right to list pods, nothing more.

import type { Pod } from '../sample.ts'
import { type Answer, isJson, judgeRefusal, PodListError, readAnswer } from './answer.ts'
import { parsePodListInSlices } from './slices.ts'

export interface PodListSource {
  /** Name of the Node object. */
  readonly nodeName: string
  /** A name or an address, IPv6 without brackets. */
  readonly apiServer: { readonly host: string; readonly port: number }
  /** Both are called for every request, since the kubelet rotates what they read. */
  readonly readToken: () => string
  readonly readCa: () => string | Buffer
  /** Time for everything, a second try included. */
  readonly deadlineMs: number
  readonly maxBytes: number
}

/** Throws PodListError; `abort` ends the request under way, and its reason is thrown. */
export async function listPods(
  source: PodListSource,
  abort: AbortController = new AbortController(),
): Promise<Pod[]> {
  const { deadlineMs } = source
  const timer = setTimeout(() => {
    abort.abort(
      new PodListError('timeout', `The Kubernetes API gave no list within ${deadlineMs} ms`),
    )
  }, deadlineMs)
  try {
    return await takePods(await readList(source, abort.signal))
  } finally {
    clearTimeout(timer)
  }
}

async function readList(source: PodListSource, signal: AbortSignal): Promise<Answer> {
  const ask = (token: string, version: string) =>
    readAnswer({
      ...source.apiServer,
      path: pathOf(source.nodeName, version),
      token,
      ca: readCertificates(source.readCa),
      maxBytes: source.maxBytes,
      signal,
    })
  let token = readCleanToken(source.readToken)
  let answer = await ask(token, CACHED)
  if (answer.status === 401) {
    const rotated = readCleanToken(source.readToken)
    if (rotated === token) return answer
    token = rotated
    answer = await ask(token, CACHED)
  }
  // As client-go's reflector: what the cache cannot give is asked of the store behind it.
  return answer.status === 410 ? ask(token, NEWEST) : answer
}

/**
 * Version 0, any will do, is served from the API server's watch cache, which is indexed by node. A limit has no effect
 * there (shouldDelegateList in apiserver/pkg/storage/cacher), and makes any other list a read of etcd: we set none.
 */
const CACHED = '&resourceVersion=0'
const NEWEST = ''

function pathOf(nodeName: string, version: string): string {
  return `/api/v1/pods?fieldSelector=${encodeURIComponent(`spec.nodeName=${nodeName}`)}${version}`
}

async function takePods(answer: Answer): Promise<Pod[]> {
  if (answer.status !== 200) throw judgeRefusal(answer, 'The Kubernetes API')
  if (!isJson(answer)) {
    const type = JSON.stringify(answer.contentType.slice(0, 80))
    throw new PodListError('malformed', `Expected JSON from the Kubernetes API, got ${type}`)
  }
  return parsePodListInSlices(answer.text)
}

function readCleanToken(readToken: () => string): string {
  const token = attempt('unauthorized', 'Cannot read the service account token', readToken).trim()
  if (/^[\x21-\x7e]+$/.test(token)) return token
  throw new PodListError('unauthorized', 'The service account token is empty or more than one line')
}

// Node falls back to the public CAs when the list is empty, and ignores what is no certificate.
function readCertificates(readCa: () => string | Buffer): string | Buffer {
  const ca = attempt('untrusted', 'Cannot read the CA of the Kubernetes API', readCa)
  if (ca.includes('-----BEGIN CERTIFICATE-----')) return ca
  throw new PodListError('untrusted', 'The CA of the Kubernetes API holds no certificate')
}

function attempt<T>(reason: 'unauthorized' | 'untrusted', action: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new PodListError(reason, `${action}: ${why}`, { cause: error })
  }
}
