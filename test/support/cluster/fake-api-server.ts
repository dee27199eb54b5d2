// A real HTTPS server that speaks as much of the Kubernetes API as listing pods takes, and fails in the ways of one.

import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { PodListSource } from '../../../src/pods/list.ts'
import { createTestAuthority, type TestCertificate } from '../program/test-certificates.ts'

export type Handler = (request: IncomingMessage, response: ServerResponse) => void

export interface FakeApiServer {
  readonly port: number
  /** PEM of the authority that signed its certificate. */
  readonly ca: string
  /** Every request so far, whatever became of it. */
  readonly requests: readonly { readonly url: string; readonly token: string }[]
  /** The pods of the cluster, each with spec.nodeName; may be changed at any time. */
  pods: object[]
  /** The token that is accepted. */
  token: string
  /** What the next requests meet instead of the API, in order. */
  readonly mishaps: Handler[]
  /** What all others meet instead of the API, until it is undefined again. */
  trouble: Handler | undefined
  /** The API itself, for a mishap that ends well. */
  readonly answer: Handler
  close(): Promise<void>
}

export interface FakeApiServerOptions {
  readonly host?: string
  /** Of another authority, expired, or for other names. */
  readonly certificate?: TestCertificate
}

const authority = createTestAuthority()

export async function startFakeApiServer({
  host = '127.0.0.1',
  certificate = authority.issue(['localhost', '127.0.0.1', '::1']),
}: FakeApiServerOptions = {}): Promise<FakeApiServer> {
  const requests: { url: string; token: string }[] = []
  const server = createServer(certificate, (request, response) => {
    const token = request.headers.authorization?.replace(/^Bearer /, '') ?? ''
    requests.push({ url: request.url ?? '', token })
    const handle = fake.mishaps.shift() ?? fake.trouble ?? answerList
    handle(request, response)
  })

  const answerList: Handler = (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'https://fake')
    if (request.headers.authorization !== `Bearer ${fake.token}`) {
      refuse(401, 'Unauthorized')(request, response)
    } else if (request.method !== 'GET' || pathname !== '/api/v1/pods') {
      refuse(404, 'the server could not find the requested resource')(request, response)
    } else {
      const node = searchParams.get('fieldSelector')?.replace(/^spec\.nodeName=/, '')
      const items = fake.pods.filter((pod) => nodeNameOf(pod) === node)
      answer(200, { kind: 'PodList', apiVersion: 'v1', metadata: {}, items })(request, response)
    }
  }

  server.listen(0, host)
  await once(server, 'listening')
  const address = server.address()
  const fake: FakeApiServer = {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    ca: authority.ca,
    requests,
    pods: [],
    token: 'token-1',
    mishaps: [],
    trouble: undefined,
    answer: answerList,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return fake
}

/** What a client in the cluster is given to reach the server. */
export function sourceOf(fake: FakeApiServer, changes: Partial<PodListSource> = {}): PodListSource {
  return {
    nodeName: 'node-1',
    apiServer: { host: '127.0.0.1', port: fake.port },
    readToken: () => `${fake.token}\n`,
    readCa: () => fake.ca,
    // What needs one sets it: a busy machine may take seconds for any answer.
    deadlineMs: 300_000,
    maxBytes: 1_000_000,
    ...changes,
  }
}

export function answer(
  status: number,
  body: object | string,
  headers: Readonly<Record<string, string>> = {},
): Handler {
  return (_request, response) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text)
  }
}

/** A v1 Status, the form of the API's errors. */
export function refuse(
  code: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Handler {
  return answer(
    code,
    { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code },
    headers,
  )
}

export interface FakePod {
  readonly uid: string
  readonly name?: string
  readonly node?: string
  /** Names by container id. */
  readonly containers?: Readonly<Record<string, string>>
}

/** As the API shows a running pod, cut to what matters. */
export function podObject({ uid, name = `pod-${uid}`, node = 'node-1', containers = {} }: FakePod) {
  return {
    metadata: { uid, namespace: 'shop', name },
    spec: { nodeName: node, containers: Object.values(containers).map((each) => ({ name: each })) },
    status: {
      phase: 'Running',
      containerStatuses: Object.entries(containers).map(([id, each]) => ({
        name: each,
        containerID: `containerd://${id}`,
      })),
    },
  }
}

function nodeNameOf(pod: object): unknown {
  return 'spec' in pod ? (pod.spec as { nodeName?: unknown }).nodeName : undefined
}
