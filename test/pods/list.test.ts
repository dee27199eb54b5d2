import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { networkInterfaces } from 'node:os'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { PodListFailure } from '../../src/pods/answer.ts'
import { listPods, type PodListSource } from '../../src/pods/list.ts'
import {
  answer,
  type FakeApiServer,
  type FakeApiServerOptions,
  podObject,
  refuse,
  sourceOf,
  startFakeApiServer,
} from '../support/cluster/fake-api-server.ts'

const hasIpv6 = networkInterfaces().lo?.some(({ family }) => family === 'IPv6') ?? false
const running: { close(): unknown }[] = []

afterEach(async () => {
  vi.useRealTimers()
  for (const server of running.splice(0)) await server.close()
})

async function start(options?: FakeApiServerOptions): Promise<FakeApiServer> {
  const fake = await startFakeApiServer(options)
  running.push(fake)
  fake.pods = [podObject({ uid: 'a', name: 'cart' })]
  return fake
}

async function names(source: PodListSource): Promise<string[]> {
  return (await listPods(source)).map(({ name }) => name)
}

function failure(reason: PodListFailure, message: RegExp, rest: object = {}): unknown {
  return expect.objectContaining({ reason, message: expect.stringMatching(message), ...rest })
}

describe('listPods()', () => {
  test('lists the pods of this node alone when all is well', async () => {
    const fake = await start()
    fake.pods.push(podObject({ uid: 'b', name: 'elsewhere', node: 'node-2' }))
    expect(await names(sourceOf(fake))).toEqual(['cart'])
    expect(fake.requests).toEqual([
      {
        url: '/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1&resourceVersion=0',
        token: 'token-1',
      },
    ])
  })

  test('reads a list of many chunks when the node is full', async () => {
    const fake = await start()
    const padding = 'x'.repeat(20_000)
    fake.pods = Array.from({ length: 110 }, (_, i) => ({
      ...podObject({ uid: `uid-${i}` }),
      padding,
    }))
    expect(await listPods(sourceOf(fake, { maxBytes: 4_000_000 }))).toHaveLength(110)
  })

  test.runIf(hasIpv6)('reaches the server when its host is an IPv6 address', async () => {
    const fake = await start({ host: '::1' })
    expect(await names(sourceOf(fake, { apiServer: { host: '::1', port: fake.port } }))).toEqual([
      'cart',
    ])
  })

  test('reaches the server when its host is a name', async () => {
    const fake = await start()
    const apiServer = { host: 'localhost', port: fake.port }
    expect(await names(sourceOf(fake, { apiServer }))).toEqual(['cart'])
  })

  test('asks again with the new token when the old one has just been rotated away', async () => {
    const fake = await start()
    const tokens = ['token-0', 'token-1']
    expect(await names(sourceOf(fake, { readToken: () => tokens.shift() ?? '' }))).toEqual(['cart'])
    expect(fake.requests.map(({ token }) => token)).toEqual(['token-0', 'token-1'])
  })

  test('gives up after one request when the token is refused and still the same', async () => {
    const fake = await start()
    await expect(listPods(sourceOf(fake, { readToken: () => 'stale' }))).rejects.toEqual(
      failure('unauthorized', /answered 401, the service account token is not accepted: Unauth/),
    )
    expect(fake.requests).toHaveLength(1)
  })

  test('gives up after two requests when the rotated token is refused as well', async () => {
    const fake = await start()
    let reads = 0
    const source = sourceOf(fake, { readToken: () => `bad-${++reads}` })
    await expect(listPods(source)).rejects.toEqual(failure('unauthorized', /401/))
    expect(fake.requests.map(({ token }) => token)).toEqual(['bad-1', 'bad-2'])
  })

  test('names the missing right when listing pods is forbidden', async () => {
    const fake = await start()
    fake.mishaps.push(refuse(403, 'pods is forbidden: User "system:serviceaccount:mon:epe"'))
    await expect(listPods(sourceOf(fake))).rejects.toEqual(
      failure('forbidden', /verb "list" on the resource "pods": pods is forbidden: User "system:s/),
    )
  })

  test('asks for the newest version when the cached one has expired', async () => {
    const fake = await start()
    fake.mishaps.push(refuse(410, 'The resourceVersion is too old'))
    expect(await names(sourceOf(fake))).toEqual(['cart'])
    expect(fake.requests.map(({ url }) => url.includes('resourceVersion'))).toEqual([true, false])
  })

  test('gives up when the newest version has expired as well', async () => {
    const fake = await start()
    fake.mishaps.push(refuse(410, 'too old'), refuse(410, 'too old'))
    await expect(listPods(sourceOf(fake))).rejects.toEqual(failure('unavailable', /410: too old/))
    expect(fake.requests).toHaveLength(2)
  })

  test.each([
    [429, 'throttled', { 'retry-after': '7' }, 7000],
    [503, 'unavailable', { 'retry-after': '1' }, 1000],
    [
      503,
      'unavailable',
      { 'retry-after': 'Thu, 01 Jan 2026 00:01:30 GMT', date: 'Thu, 01 Jan 2026 00:00:00 GMT' },
      90_000,
    ],
    [429, 'throttled', { 'retry-after': '9999999999' }, 3_600_000],
    [429, 'throttled', { 'retry-after': 'soon' }, undefined],
    [429, 'throttled', { 'retry-after': '-5' }, undefined],
    [500, 'unavailable', {}, undefined],
    [504, 'unavailable', {}, undefined],
    [408, 'unavailable', { 'retry-after': '7' }, undefined],
    [404, 'malformed', {}, undefined],
    [204, 'malformed', {}, undefined],
  ] as const)('fails as it should when the answer is %i (%s, %j)', async (...row) => {
    const [status, reason, headers, retryAfterMs] = row
    const fake = await start()
    fake.mishaps.push(refuse(status, 'no', headers))
    await expect(listPods(sourceOf(fake))).rejects.toEqual(
      failure(reason, new RegExp(`answered ${status}`), { retryAfterMs }),
    )
  })

  test('does not follow when the answer is a redirect', async () => {
    const fake = await start()
    const location = `https://127.0.0.1:${fake.port}/api/v1/pods`
    fake.mishaps.push(answer(302, 'moved', { location }))
    await expect(listPods(sourceOf(fake))).rejects.toEqual(
      failure('malformed', /^The Kubernetes API answered 302, and redirects are not followed$/),
    )
    expect(fake.requests).toHaveLength(1)
  })

  test('reads only the beginning when a refusal is endless', async () => {
    const fake = await start()
    fake.mishaps.push((_request, response) => {
      response.writeHead(500, { 'content-type': 'text/html' })
      const timer = setInterval(() => response.write('x'.repeat(50_000)), 1)
      response.on('close', () => clearInterval(timer))
    })
    await expect(listPods(sourceOf(fake))).rejects.toEqual(failure('unavailable', /500$/))
  })

  test.each([
    [
      'an error page',
      answer(200, '<html></html>', { 'content-type': 'text/html' }),
      /"text\/html"/,
    ],
    ['truncated JSON', answer(200, '{"kind":"PodList","items":[{'), /not JSON \(28 characters\)/],
    ['too long', answer(200, 'x'.repeat(1_000_001)), /longer than 1000000 bytes/],
    ['compressed', answer(200, '{}', { 'content-encoding': 'gzip' }), /in encoding "gzip"/],
  ])('fails as malformed when the answer is %s', async (_name, handler, message) => {
    const fake = await start()
    fake.mishaps.push(handler)
    await expect(listPods(sourceOf(fake))).rejects.toEqual(failure('malformed', message))
  })

  test('fails as unreachable when the connection breaks in the middle of the list', async () => {
    const fake = await start()
    fake.mishaps.push((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '5000' })
      response.write('{"kind":"PodList",', () => response.destroy())
    })
    await expect(listPods(sourceOf(fake))).rejects.toEqual(failure('unreachable', /aborted/))
  })

  test.each([
    ['no answer comes', () => {}],
    [
      'the answer trickles',
      (_request: unknown, response: { write(text: string): void; on: Server['on'] }) => {
        const timer = setInterval(() => response.write(' '), 20)
        response.on('close', () => clearInterval(timer))
      },
    ],
  ] as const)('fails at the deadline when %s', async (_name, handler) => {
    const fake = await start()
    fake.mishaps.push(handler as never)
    // Without a deadline the test would last until it is given up.
    await expect(listPods(sourceOf(fake, { deadlineMs: 200 }))).rejects.toEqual(
      failure('timeout', /gave no list within 200 ms/),
    )
  })

  test('counts a second try against the same deadline when the first was slow', async () => {
    const fake = await start()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const askedAgain = new Promise<void>((resolve) => {
      fake.mishaps.push(
        (...exchange) => {
          vi.advanceTimersByTime(2000)
          refuse(401, 'expired')(...exchange)
        },
        () => resolve(),
      )
    })
    let reads = 0
    const source = sourceOf(fake, { deadlineMs: 3000, readToken: () => `token-${++reads}` })
    const ended = expect(listPods(source)).rejects.toEqual(failure('timeout', /within 3000 ms/))
    await askedAgain
    vi.advanceTimersByTime(999)
    expect(vi.getTimerCount()).toBe(1)
    vi.advanceTimersByTime(1)
    expect(vi.getTimerCount()).toBe(0)
    await ended
    expect(fake.requests).toHaveLength(2)
  })

  test('ends at once with the reason given when it is aborted', async () => {
    const fake = await start()
    const abort = new AbortController()
    fake.mishaps.push(() => abort.abort(new Error('stopped')))
    await expect(listPods(sourceOf(fake), abort)).rejects.toThrow('stopped')
  })

  test('says so when nothing listens there', async () => {
    const fake = await startFakeApiServer()
    await fake.close()
    await expect(listPods(sourceOf(fake))).rejects.toEqual(
      failure(
        'unreachable',
        /^Cannot get an answer from https:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/,
      ),
    )
  })

  test('trusts nobody when what answers speaks no TLS', async () => {
    const plain = createServer((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n')).listen(0)
    running.push(plain)
    await once(plain, 'listening')
    const address = plain.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const apiServer = { host: '127.0.0.1', port }
    await expect(listPods(sourceOf(await start(), { apiServer }))).rejects.toEqual(
      failure('untrusted', /./),
    )
  })
})
