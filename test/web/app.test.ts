import { gunzipSync } from 'node:zlib'
import request from 'supertest'
import { describe, expect, test } from 'vitest'
import { diagnose } from '../../src/diagnosis/diagnose.ts'
import { createPageRenderer, type Page } from '../../src/metrics/page.ts'
import type { Snapshot } from '../../src/snapshot.ts'
import { sampleBuild, sampleSnapshot } from '../support/render/sample-snapshot.ts'
import { createSampleApp, exchange, unready } from './sample-app.ts'

const TEXT = 'text/plain; version=0.0.4; charset=utf-8'
const OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

describe('the metrics', () => {
  test('GET answers with text 0.0.4 and headers that caches understand', async () => {
    const response = await request(createSampleApp()).get('/metrics').set('Accept', '*/*')
    expect(response.status).toBe(200)
    expect(response.headers['content-type']).toBe(TEXT)
    expect(response.headers.vary).toBe('Accept, Accept-Encoding')
    expect(response.headers['x-content-type-options']).toBe('nosniff')
    expect(response.headers).not.toHaveProperty('etag')
    expect(response.headers).not.toHaveProperty('x-powered-by')
    expect(response.text).toContain('ephemeral_port_usable_ports{netns="host"} 28221\n')
  })

  test('GET answers with OpenMetrics who asks for it', async () => {
    const response = await request(createSampleApp())
      .get('/metrics')
      .set('Accept', 'application/openmetrics-text;version=1.0.0,*/*;q=0.1')
      .buffer()
      .parse(readText)
    expect(response.headers['content-type']).toBe(OPENMETRICS)
    expect(response.body).toMatch(/ephemeral_port_samples_total 17\n.*# EOF\n$/s)
  })

  test('GET compresses for those who accept it, and what comes out is the page', async () => {
    const app = createSampleApp()
    const plain = await request(app).get('/metrics').set('Accept-Encoding', 'gzip;q=0')
    const zipped = await request(app).get('/metrics').set('Accept-Encoding', 'gzip').parse(readText)
    expect(plain.headers).not.toHaveProperty('content-encoding')
    expect(zipped.headers['content-encoding']).toBe('gzip')
    expect(zipped.headers['content-type']).toBe(TEXT)
    expect(zipped.headers.vary).toBe('Accept, Accept-Encoding')
    expect(Number(zipped.headers['content-length'])).toBeLessThan(plain.text.length / 2)
    expect(zipped.body).toBe(plain.text) // superagent decompresses
  })

  test('GET sends real gzip over the wire', async () => {
    const raw = await exchange(
      createSampleApp(),
      'GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n',
    )
    const body = raw.subarray(raw.indexOf('\r\n\r\n') + 4)
    expect(gunzipSync(body).toString()).toContain('ephemeral_port_samples_total 17\n')
  })

  test('GET leaves a small page uncompressed', async () => {
    const body = Buffer.from('x'.repeat(1024))
    const page: Page = { body, gzipped: () => Promise.reject(new Error('not to be called')) }
    const app = createSampleApp({ renderer: { render: async () => page } })
    const response = await request(app).get('/metrics').set('Accept-Encoding', 'gzip')
    expect(response.headers).not.toHaveProperty('content-encoding')
    expect(response.text).toBe(body.toString())
  })

  test('HEAD gives the headers of GET and no body', async () => {
    const app = createSampleApp()
    const get = await request(app).get('/metrics').set('Accept-Encoding', 'identity')
    const raw = (
      await exchange(app, 'HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    ).toString()
    expect(raw).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(raw).toContain(`\r\nContent-Type: ${TEXT}\r\n`)
    expect(raw).toContain(`\r\nContent-Length: ${get.headers['content-length']}\r\n`)
    expect(raw.slice(raw.indexOf('\r\n\r\n') + 4)).toBe('')
  })

  test('GET before the first sample answers 503 and says why', async () => {
    const response = await request(createSampleApp(unready)).get('/metrics')
    expect(response.status).toBe(503)
    expect(response.headers['content-type']).toBe('text/plain; charset=utf-8')
    expect(response.text).toBe('No sample has been taken yet: the first sample is under way\n')
  })

  test('concurrent scrapes share one render', async () => {
    const renderer = createPageRenderer({ build: sampleBuild, includeProcessMetrics: true })
    const pages: Page[] = []
    const app = createSampleApp({
      renderer: {
        render: async (...question) => {
          const page = await renderer.render(...question)
          pages.push(page)
          return page
        },
      },
    })
    const responses = await Promise.all(
      Array.from({ length: 5 }, () => request(app).get('/metrics')),
    )
    expect(pages).toHaveLength(5)
    expect(new Set(pages).size).toBe(1)
    expect(new Set(responses.map((response) => response.text)).size).toBe(1)
  })

  test('a new Snapshot gives a new page', async () => {
    let snapshot: Snapshot = sampleSnapshot
    const app = createSampleApp({ currentSnapshot: () => snapshot })
    expect((await request(app).get('/metrics')).text).toContain('samples_total 17\n')
    snapshot = { ...sampleSnapshot, samples: 18 }
    expect((await request(app).get('/metrics')).text).toContain('samples_total 18\n')
  })

  test('a failing render is one 500 without a stack, is reported, and does not end the service', async () => {
    const seen: unknown[] = []
    const failure = new Error('Cannot render: a secret')
    const app = createSampleApp({
      renderer: { render: () => Promise.reject(failure) },
      onError: (error) => seen.push(error),
    })
    const response = await request(app).get('/metrics')
    expect(response.status).toBe(500)
    expect(response.headers['content-type']).toBe('text/plain; charset=utf-8')
    expect(response.text).toBe('Internal error, the log says more\n')
    expect(seen).toEqual([failure])
    expect((await request(app).get('/-/healthy')).status).toBe(200)
  })

  test.each(['/m(e)t*ics:v1', '/metrics+x', '/a/b.c-d_e~'])(
    'telemetryPath %s is taken literally',
    async (telemetryPath) => {
      const app = createSampleApp({ telemetryPath })
      expect((await request(app).get(telemetryPath)).text).toContain('samples_total 17')
      expect((await request(app).get('/metrics')).status).toBe(404)
      expect((await request(app).get('/metXics:v1')).status).toBe(404)
    },
  )

  test('telemetryPath / takes the place of the landing page', async () => {
    const response = await request(createSampleApp({ telemetryPath: '/' })).get('/')
    expect(response.headers['content-type']).toBe(TEXT)
    expect(response.text).toContain('samples_total 17')
  })
})

describe('health and readiness', () => {
  test('/-/healthy follows healthy()', async () => {
    const well = await request(createSampleApp()).get('/-/healthy')
    expect([well.status, well.text]).toEqual([200, 'Healthy\n'])
    const ill = await request(createSampleApp({ healthy: () => false })).get('/-/healthy')
    expect([ill.status, ill.text]).toEqual([503, 'Not healthy\n'])
  })

  test('/-/ready follows readiness() and gives its reason', async () => {
    const ready = await request(createSampleApp()).get('/-/ready')
    expect([ready.status, ready.text]).toEqual([200, 'Ready\n'])
    const not = await request(createSampleApp(unready)).get('/-/ready')
    expect([not.status, not.text]).toEqual([503, 'Not ready: the first sample is under way\n'])
  })
})

describe('/api/v1/snapshot', () => {
  test('GET gives the build and the Snapshot as JSON', async () => {
    const response = await request(createSampleApp()).get('/api/v1/snapshot')
    expect(response.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(response.body).toEqual(
      JSON.parse(JSON.stringify({ build: sampleBuild, snapshot: sampleSnapshot })),
    )
    const [unread, host] = response.body.snapshot.namespaces
    expect(unread).not.toHaveProperty('state') // not known is absent
    expect(host.state.pools[0].availablePorts).toBe(7_057)
  })

  test('GET before the first sample answers 503', async () => {
    const response = await request(createSampleApp(unready)).get('/api/v1/snapshot')
    expect(response.status).toBe(503)
    expect(response.text).toContain('the first sample is under way')
  })
})

describe('/api/v1/diagnosis', () => {
  test('GET gives what the page shows', async () => {
    const { body, headers } = await request(createSampleApp()).get('/api/v1/diagnosis')
    expect(headers['content-type']).toBe('application/json; charset=utf-8')
    expect(body.build).toEqual(sampleBuild)
    expect(body.diagnosis.headline).toBe(
      '1 of 2 namespaces is about to run out of ports, 1 cannot be read',
    )
    expect(body.diagnosis.pools[0]).toMatchObject({ netns: 'host', verdict: 'at_risk' })
  })

  test('GET serializes a Snapshot once', async () => {
    let asked = 0
    const diagnosis = diagnose(sampleSnapshot, { platform: 'linux', listenPorts: [] })
    const app = createSampleApp({
      diagnose: () => {
        asked++
        return diagnosis
      },
    })
    const texts = [1, 2, 3].map(async () => (await request(app).get('/api/v1/diagnosis')).text)
    expect(new Set(await Promise.all(texts)).size).toBe(1)
    expect(asked).toBe(1)
  })
})

// superagent reads by itself only types that it knows. Not a stream, whatever its types say: decompressed, it emits only events.
function readText(response: unknown, done: (error: Error | null, body: string) => void): void {
  const source = response as NodeJS.ReadableStream
  let body = ''
  source.on('data', (chunk: Buffer) => {
    body += chunk.toString('latin1') // the page is ASCII
  })
  source.on('end', () => done(null, body))
}
