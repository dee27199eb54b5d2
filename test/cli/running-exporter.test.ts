import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { askExporter } from '../../src/cli/running-exporter.ts'
import { sampleBuild, sampleSnapshot } from '../support/render/sample-snapshot.ts'
import { createSampleApp, unready } from '../web/sample-app.ts'

async function ask(app: RequestListener, version = sampleBuild.version, isTrusted = () => true) {
  const server = createServer(app).listen(0, '127.0.0.1')
  try {
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    return await askExporter({ addresses: [{ host: undefined, port }], version, isTrusted })
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

const scripted = {
  ...sampleSnapshot,
  namespaces: sampleSnapshot.namespaces.map((one) => ({ ...one, inode: '1]" ]; reboot; [ "x' })),
}
const stale = {
  ...sampleSnapshot,
  namespaces: sampleSnapshot.namespaces.map((one) => ({ ...one, state: undefined })),
}

const sendSnapshot =
  (snapshot: unknown): RequestListener =>
  (_request, response) =>
    response.end(JSON.stringify({ build: sampleBuild, snapshot }))

/** A byte now and then, and no end. */
const drip: RequestListener = (_request, response) => {
  const timer = setInterval(() => response.write(' '), 100)
  response.on('close', () => clearInterval(timer))
}

describe('askExporter()', () => {
  test('gives the last sample of the exporter that listens there', async () => {
    const answer = await ask(createSampleApp())
    expect(answer?.snapshot).toEqual(JSON.parse(JSON.stringify(sampleSnapshot)))
    expect(answer?.address).toMatch(/^127\.0\.0\.1:\d+$/)
  })

  test.each<[string, RequestListener, string?]>([
    ['has no sample yet', createSampleApp(unready)],
    ['knows nothing of any namespace any more', createSampleApp({ currentSnapshot: () => stale })],
    ['is of another version', createSampleApp(), '9.9.9'],
    ['is something else', (_request, response) => response.end('<html>')],
    ['wants a password', (_request, response) => response.writeHead(401).end()],
    ['never answers', () => {}],
    ['never comes to an end', drip],
    ['sends no object', (_request, response) => response.end('null')],
    ['sends no Snapshot', sendSnapshot({ namespaces: 5 })],
    ['sends an inode that is a script', sendSnapshot(scripted)],
    ['breaks off', (request) => request.socket.destroy()],
  ])('gives nothing where it %s', async (_name, app, version) => {
    expect(await ask(app, version)).toBeUndefined()
  })

  test('says nothing to whom it does not believe', async () => {
    let requests = 0
    const app: RequestListener = (_request, response) => {
      requests++
      response.end()
    }
    expect(await ask(app, sampleBuild.version, () => false)).toBeUndefined()
    expect(requests).toBe(0)
  })

  test('gives nothing where nobody listens', async () => {
    const question = {
      addresses: [{ host: '127.0.0.1', port: 1 }],
      version: '0.1.0',
      isTrusted: () => true,
    }
    expect(await askExporter(question)).toBeUndefined()
  })
})
