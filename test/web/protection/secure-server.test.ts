import { once } from 'node:events'
import { connect as connectPlain } from 'node:net'
import { connect } from 'node:tls'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createTestAuthority } from '../../support/program/test-certificates.ts'
import { holdClosingClock } from './closing-clock.ts'
import { fingerprintOf, visit } from './tls-client.ts'
import { issueServer, type ProtectedServer, startProtected, tlsFiles } from './web-config-folder.ts'

const running: ProtectedServer[] = []

afterEach(async () => {
  vi.useRealTimers()
  for (const server of running.splice(0)) await server.stop()
})

async function start(files: Readonly<Record<string, string>>): Promise<ProtectedServer> {
  const server = await startProtected(files)
  running.push(server)
  return server
}

const good = createTestAuthority('Clients')
const evil = createTestAuthority('Clients') // of the same name
const client = good.issue(['prometheus.example', '::1'])
const stranger = evil.issue(['prometheus.example'])

describe('createSecureServer()', () => {
  test('serves TLS 1.3 and 1.2, HTTP/1.1 alone, and nothing in the clear', async () => {
    const { port } = await start(tlsFiles('http_server_config: {http2: true}'))
    const newest = await visit(port, { ALPNProtocols: ['h2', 'http/1.1'] })
    expect(newest).toMatchObject({ status: 200, body: 'ok', protocol: 'TLSv1.3', alpn: 'http/1.1' })
    expect(await visit(port, { maxVersion: 'TLSv1.2' })).toMatchObject({
      status: 200,
      protocol: 'TLSv1.2',
      cipher: expect.stringMatching(/^TLS_ECDHE_ECDSA_WITH_.*(GCM|POLY1305)/),
    })
    const plain = connectPlain(port, '127.0.0.1')
    const answers: Buffer[] = []
    plain.on('data', (chunk) => answers.push(chunk)).on('error', () => {})
    plain.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await once(plain, 'close')
    const answer = Buffer.concat(answers).toString('latin1')
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toMatch(/\r\n\r\nThis port speaks TLS\. .*https:\/\/.*\n$/)
    expect(await visit(port)).toMatchObject({ status: 200, body: 'ok' })
  })

  test('answers nothing to what is neither TLS nor HTTP', async () => {
    const { port } = await start(tlsFiles())
    const plain = connectPlain(port, '127.0.0.1')
    const answers: Buffer[] = []
    plain.on('data', (chunk) => answers.push(chunk)).on('error', () => {})
    plain.write('\0\x01garbage\r\n\r\n')
    await once(plain, 'close')
    expect(Buffer.concat(answers).toString('latin1')).not.toContain('HTTP')
  })

  test('offers no TLS below 1.2, whatever the client is content with', async () => {
    const { port } = await start(tlsFiles())
    const old = { minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' } as const
    expect((await visit(port, { ...old, maxVersion: 'TLSv1.1' })).status).toBeUndefined()
    expect((await visit(port, { ...old, maxVersion: 'TLSv1.2' })).status).toBe(200)
    const rsaOnly = { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA:ECDHE-ECDSA-AES128-SHA' } as const
    expect((await visit(port, rsaOnly)).status).toBeUndefined()
  })

  test.each([
    ['min_version: TLS13', { maxVersion: 'TLSv1.2' }, undefined],
    ['min_version: TLS13', {}, 'TLSv1.3'],
    ['max_version: TLS12', {}, 'TLSv1.2'],
    ['cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA]', { maxVersion: 'TLSv1.2' }, 'TLSv1.2'],
    ['cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA]', {}, 'TLSv1.3'],
    ['curve_preferences: [CurveP384]', { ecdhCurve: 'secp384r1' }, 'TLSv1.3'],
    ['curve_preferences: [CurveP384]', { ecdhCurve: 'prime256v1' }, undefined],
  ] as const)('keeps to %s for a client with %j', async (setting, options, protocol) => {
    const { port } = await start(tlsFiles(`  ${setting}\n`))
    const seen = await visit(port, options)
    expect(seen.status).toBe(protocol === undefined ? undefined : 200)
    if (protocol !== undefined) expect(seen.protocol).toBe(protocol)
    if (setting.includes('256_CBC') && protocol === 'TLSv1.2')
      expect(seen.cipher).toMatch(/CBC_SHA$/)
  })

  test('closes in bounded time with connections that never end their handshake', async () => {
    const protectedServer = await startProtected(tlsFiles())
    const silent = connectPlain(protectedServer.port, '127.0.0.1')
    silent.on('error', () => {})
    await once(silent, 'connect')
    const idle = connect({
      port: protectedServer.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
    })
    idle.on('error', () => {})
    await once(idle, 'secureConnect')
    const pass = holdClosingClock()
    const stopped = protectedServer.stop()
    await pass(1000)
    await stopped
    silent.destroy()
    idle.destroy()
  })
})

describe('client_auth_type', () => {
  const visitors = {
    none: {},
    good: client,
    stranger,
  } as const
  test.each([
    ['NoClientCert', { none: 200, good: 200, stranger: 200 }],
    ['RequestClientCert', { none: 200, good: 200, stranger: 200 }],
    ['RequireAnyClientCert', { none: undefined, good: 200, stranger: 200 }],
    ['RequireClientCert', { none: undefined, good: 200, stranger: 200 }],
    ['VerifyClientCertIfGiven', { none: 200, good: 200, stranger: undefined }],
    ['RequireAndVerifyClientCert', { none: undefined, good: 200, stranger: undefined }],
  ] as const)('%s lets in whom it should, with TLS 1.2 and 1.3', async (type, expected) => {
    const ca = type === 'NoClientCert' ? '' : '  client_ca_file: ca.crt\n'
    const files = { 'ca.crt': good.ca, ...tlsFiles(`  client_auth_type: ${type}\n${ca}`) }
    const { port } = await start(files)
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const seen: Record<string, number | undefined> = {}
      for (const [name, certificate] of Object.entries(visitors)) {
        seen[name] = (await visit(port, { ...certificate, maxVersion })).status
      }
      expect(seen).toEqual(expected)
    }
  })

  test('VerifyClientCertIfGiven without an authority trusts the public ones, as in the toolkit', async () => {
    const { port } = await start(tlsFiles('  client_auth_type: VerifyClientCertIfGiven\n'))
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const visits = Object.values(visitors).map((one) => visit(port, { ...one, maxVersion }))
      const seen = (await Promise.all(visits)).map(({ status }) => status)
      expect(seen).toEqual([200, undefined, undefined])
    }
  })

  test('lets in who resumes the session of a connection that was let in', async () => {
    const settings = '  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n'
    const { port } = await start({
      'ca.crt': good.ca,
      ...tlsFiles(`${settings}  client_allowed_sans: ["::1"]\n`),
    })
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { session } = await visit(port, { ...client, maxVersion })
      if (session === undefined) throw new Error('No session')
      const again = await visit(port, { ...client, maxVersion, session })
      expect(again).toMatchObject({ status: 200, resumed: true })
    }
  })

  test.each([
    ['[other.example, prometheus.example]', 200],
    ['["0:0:0:0:0:0:0:1"]', 200],
    ['[example]', undefined],
    ['["DNS:prometheus.example"]', undefined],
  ])('client_allowed_sans %s gives %s to the certificate of another', async (sans, status) => {
    const settings = '  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n'
    const files = tlsFiles(`${settings}  client_allowed_sans: ${sans}\n`)
    const { port } = await start({ 'ca.crt': good.ca, ...files })
    expect((await visit(port, client)).status).toBe(status)
  })
})

describe('rotation', () => {
  test('new connections get the new certificate, old ones and the listener stay', async () => {
    const first = issueServer()
    const second = issueServer()
    const { port, folder, log } = await start(tlsFiles('', first))
    const kept = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
    await once(kept, 'secureConnect')
    expect((await visit(port)).fingerprint).toBe(fingerprintOf(first.cert))
    folder.write('tls.crt', second.cert)
    folder.write('tls.key', second.key)
    expect((await visit(port)).fingerprint).toBe(fingerprintOf(second.cert))
    expect(log).toEqual(['changed'])
    kept.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    const [answer] = await once(kept, 'data')
    expect(String(answer)).toMatch(/^HTTP\/1.1 200 /)
  })

  test('what cannot be used leaves the old certificate, with one line however many connect', async () => {
    const first = issueServer()
    const second = issueServer()
    const { port, folder, log } = await start(tlsFiles('', first))
    folder.write('tls.crt', second.cert) // its key has not come yet
    for (let i = 0; i < 3; i++) {
      expect((await visit(port)).fingerprint).toBe(fingerprintOf(first.cert))
    }
    expect(log).toEqual([
      expect.stringMatching(/^Cannot use key_file ".*tls.key": it is not the key of cert_file/),
    ])
    folder.write('tls.key', second.key)
    expect((await visit(port)).fingerprint).toBe(fingerprintOf(second.cert))
    expect(log.slice(1)).toEqual(['changed'])
  })

  test('clients of a new authority come in and those of the old one do not, resumed or not', async () => {
    const settings = '  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n'
    const { port, folder } = await start({ 'ca.crt': good.ca, ...tlsFiles(settings) })
    const { status, session } = await visit(port, client)
    expect(status).toBe(200)
    folder.write('ca.crt', evil.ca)
    expect((await visit(port, client)).status).toBeUndefined()
    expect((await visit(port, { ...client, ...(session && { session }) })).status).toBeUndefined()
    expect((await visit(port, stranger)).status).toBe(200)
  })
})
