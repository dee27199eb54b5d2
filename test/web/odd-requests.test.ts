import request from 'supertest'
import { expect, test } from 'vitest'
import { createSampleApp, exchange } from './sample-app.ts'

test.each(['/metrics', '/-/healthy', '/-/ready', '/api/v1/snapshot', '/'])(
  '%s refuses other methods',
  async (path) => {
    for (const method of ['post', 'put', 'delete', 'options', 'patch'] as const) {
      const response = await request(createSampleApp())[method](path)
      expect(response.status).toBe(405)
      expect(response.headers.allow).toBe('GET, HEAD')
      expect(response.text).toBe(
        `Method ${method.toUpperCase()} is not allowed, only GET and HEAD\n`,
      )
    }
  },
)

test('an unknown path is 404 in plain text and repeats nothing of the request', async () => {
  const response = await request(createSampleApp()).get('/<script>?x=1')
  expect(response.status).toBe(404)
  expect(response.headers['content-type']).toBe('text/plain; charset=utf-8')
  expect(response.headers['x-content-type-options']).toBe('nosniff')
  expect(response.text).toBe('Not found. The metrics are at /metrics\n')
})

test.each(['/%', '/%ff', '/metrics%', '/%2e%2e/metrics', '//metrics', '/metrics%00'])(
  'GET %s is not found and no failure',
  async (path) => {
    const raw = await exchange(
      createSampleApp(),
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    )
    expect(raw.toString()).toMatch(/^HTTP\/1\.1 404 /)
  },
)

test.each(['/namespaces/%FF', '/namespaces/%', '/namespaces/pod/a%zz/b', '/namespaces/%C0%80'])(
  'GET %s is the fault of whoever asks, and no failure',
  async (path) => {
    const errors: unknown[] = []
    const app = createSampleApp({ onError: (error) => errors.push(error) })
    const raw = await exchange(app, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    expect(raw.toString()).toMatch(/^HTTP\/1\.1 400 [\s\S]*\r\n\r\nBad request\n$/)
    expect(errors).toEqual([])
  },
)

test.each([
  ['a header that never ends', `GET /metrics HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}`, 431],
  ['no HTTP', 'hello\r\n\r\n', 400],
  ['no host', 'GET /metrics HTTP/1.1\r\n\r\n', 400],
  ['HTTP/1.0', 'GET /metrics HTTP/1.0\r\n\r\n', 200],
  ['a query', 'GET /metrics?a[b]=c&%zz HTTP/1.0\r\n\r\n', 200],
  ['two Accept headers', 'GET /metrics HTTP/1.0\r\nAccept: a\r\nAccept: */*\r\n\r\n', 200],
])('%s gets an answer', async (_case, bytes, status) => {
  const raw = await exchange(createSampleApp(), bytes)
  expect(raw.toString()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
})
