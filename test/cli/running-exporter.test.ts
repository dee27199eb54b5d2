import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { isOwnPeer } from '../../src/cli/own-peer.ts'
import { askExporter } from '../../src/cli/running-exporter.ts'
import { startCountdown } from '../../src/countdown.ts'
import { createTestAuthority } from '../support/program/test-certificates.ts'
import { sampleBuild, sampleSnapshot } from '../support/render/sample-snapshot.ts'
import {
  type ProtectedServer,
  startProtected,
  tlsFiles,
} from '../web/protection/web-config-folder.ts'
import { createSampleApp, unready } from '../web/sample-app.ts'

// Both as they are, and told otherwise where a connection shall end on another machine, or time be over.
vi.mock('../../src/cli/own-peer.ts', { spy: true })
vi.mock('../../src/countdown.ts', { spy: true })

async function ask(app: RequestListener, version = sampleBuild.version, isTrusted = () => true) {
  return await askServer(createServer(app), version, isTrusted)
}

async function askServer(server: Server, version = sampleBuild.version, isTrusted = () => true) {
  server.listen(0, '127.0.0.1')
  try {
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    return await askExporter({ addresses: [{ host: undefined, port }], version, isTrusted })
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

const running: ProtectedServer[] = []
afterEach(async () => {
  vi.restoreAllMocks()
  for (const server of running.splice(0)) await server.stop()
})

/** What it says of an exporter behind that web configuration. */
async function askProtected(files: Readonly<Record<string, string>>, isTrusted = () => true) {
  const server = await startProtected(files, createSampleApp())
  running.push(server)
  const addresses = [{ host: undefined, port: server.port }]
  return await askExporter({ addresses, version: sampleBuild.version, isTrusted })
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
    expect(answer).toEqual({
      snapshot: JSON.parse(JSON.stringify(sampleSnapshot)),
      address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    })
  })

  test.each<[string, RequestListener, string?]>([
    ['has no sample yet', createSampleApp(unready)],
    ['knows nothing of any namespace any more', createSampleApp({ currentSnapshot: () => stale })],
    ['is of another version', createSampleApp(), '9.9.9'],
    ['is something else', (_request, response) => response.end('<html>')],
    ['has lost its way', (_request, response) => response.writeHead(500).end()],
    ['cannot read the question', (_request, response) => response.writeHead(400).end()],
    ['never answers', () => {}],
    ['never comes to an end', drip],
    ['sends no object', (_request, response) => response.end('null')],
    ['sends no Snapshot', sendSnapshot({ namespaces: 5 })],
    ['sends an inode that is a script', sendSnapshot(scripted)],
    ['breaks off', (request) => request.socket.destroy()],
  ])('gives nothing where it %s', async (_name, app, version) => {
    expect(await ask(app, version)).toBeUndefined()
  })

  test.each([
    ['', 'its newest version'],
    ['  max_version: TLS12\n', 'TLS 1.2'],
    ['  min_version: TLS13\n', 'TLS 1.3'],
    ['  client_auth_type: RequestClientCert\n', 'a client that may show a certificate'],
  ])('asks by TLS, with no authority to know the certificate (%s)', async (settings) => {
    expect(await askProtected(tlsFiles(settings))).toMatchObject({
      snapshot: JSON.parse(JSON.stringify(sampleSnapshot)),
    })
  })

  const users = `basic_auth_users: {alice: ${'$2y$10$'}${'a'.repeat(53)}}\n`
  const uncertified = 'lets in no client without a certificate'
  test.each([
    ['a password', { 'web.yml': users }, 'asks for a password'],
    ['a password over TLS', tlsFiles(users), 'asks for a password'],
    ['any certificate', tlsFiles('  client_auth_type: RequireAnyClientCert\n'), uncertified],
    ...['TLS12', 'TLS13'].map((version): [string, Readonly<Record<string, string>>, string] => [
      `a certificate that is verified, over ${version}`,
      {
        ...tlsFiles(
          `  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  max_version: ${version}\n`,
        ),
        'ca.crt': createTestAuthority().ca,
      },
      uncertified,
    ]),
    [
      'fewer requests',
      tlsFiles('rate_limit: {interval: 1h, burst: 1}\n'),
      'has a rate limit that is used up',
    ],
  ])('says what is in the way where it wants %s', async (what, files, refusal) => {
    const server = await startProtected(files, createSampleApp())
    running.push(server)
    const addresses = [{ host: undefined, port: server.port }]
    const question = { addresses, version: sampleBuild.version, isTrusted: () => true }
    if (what === 'fewer requests') await askExporter(question)
    expect(await askExporter(question)).toEqual({
      refusal: `the exporter at 127.0.0.1:${server.port} ${refusal}`,
    })
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

  test('asks nothing where a name or an address leads to another machine', async () => {
    let requests = 0
    const server = createServer((_request, response) => {
      requests++
      response.end(JSON.stringify({ build: sampleBuild, snapshot: sampleSnapshot }))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const question = { version: sampleBuild.version, isTrusted: () => true }
    const addresses = [{ host: 'localhost', port }]
    expect(await askExporter({ ...question, addresses })).toBeDefined()
    expect(requests).toBe(1)
    vi.mocked(isOwnPeer).mockClear().mockReturnValueOnce(false)
    const sent = once(server, 'connection').then(async ([socket]) => {
      await once(socket, 'close')
      return socket.bytesRead
    })
    expect(await askExporter({ ...question, addresses })).toBeUndefined()
    expect(await sent).toBe(0)
    expect(requests).toBe(1)
    expect(isOwnPeer).toHaveBeenCalledOnce()
    server.close()
  })

  test('asks nothing by TLS where the second connection leads to another machine', async () => {
    const served: string[] = []
    const server = await startProtected(tlsFiles(), (request, response) => {
      served.push(String(request.url))
      response.end(JSON.stringify({ build: sampleBuild, snapshot: sampleSnapshot }))
    })
    running.push(server)
    const addresses = [{ host: undefined, port: server.port }]
    const question = { addresses, version: sampleBuild.version, isTrusted: () => true }
    expect(await askExporter(question)).toHaveProperty('snapshot')
    vi.mocked(isOwnPeer).mockClear().mockReturnValueOnce(true).mockReturnValueOnce(false)
    expect(await askExporter(question)).toBeUndefined()
    expect(isOwnPeer).toHaveBeenCalledTimes(2)
    expect(served).toEqual(['/api/v1/snapshot'])
  })

  test('has three seconds for both protocols together', async () => {
    let expire = () => {}
    vi.mocked(startCountdown)
      .mockClear()
      .mockImplementationOnce((_seconds, end) => {
        expire = end
        return setInterval(() => {}, 1000)
      })
    let connections = 0
    const server = createTcpServer((socket) => {
      socket.on('error', () => {})
      if (++connections === 1) socket.destroy()
      else expire()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const addresses = [{ host: undefined, port }]
    const question = { addresses, version: sampleBuild.version, isTrusted: () => true }
    expect(await askExporter(question)).toBeUndefined()
    expect(connections).toBe(2)
    expect(vi.mocked(startCountdown).mock.calls).toEqual([[3, expire]])
    server.close()
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
