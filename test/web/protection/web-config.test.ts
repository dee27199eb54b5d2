import { getCiphers } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { cipherSuites } from '../../../src/web/protection/tls-names.ts'
import { parseWebConfig, type WebConfig } from '../../../src/web/protection/web-config.ts'

const hash = '$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG'
const tls = 'tls_server_config:\n  cert_file: a.crt\n  key_file: a.key\n'

function config(text: string, path = '/etc/web/web.yml'): WebConfig {
  const outcome = parseWebConfig(text, path)
  if ('problems' in outcome) throw new Error(outcome.problems.join('\n'))
  return outcome.config
}

describe('parseWebConfig()', () => {
  test.each(['', '# nothing\n', 'tls_server_config:\nbasic_auth_users:\nhttp_server_config: {}\n'])(
    'takes %j for plain HTTP without anything',
    (text) => {
      expect(config(text)).toStrictEqual({
        tls: undefined,
        users: new Map(),
        headers: [],
        rateLimit: undefined,
        notes: [],
      })
    },
  )

  test('takes certificate and key relative to the file, and absolute paths as they are', () => {
    const { tls } = config('tls_server_config: {cert_file: ../tls/a.crt, key_file: /k/a.key}')
    expect(tls).toStrictEqual({
      cert: { origin: 'cert_file "/etc/tls/a.crt"', file: '/etc/tls/a.crt' },
      key: { origin: 'key_file "/k/a.key"', file: '/k/a.key' },
      clientCa: undefined,
      clientAuth: 'NoClientCert',
      clientAllowedSans: undefined,
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.3',
      ciphers: expect.stringMatching(
        /^TLS_AES_128_GCM_SHA256:.*:ECDHE-ECDSA-AES128-GCM-SHA256:(?!.*SHA$)/,
      ),
      curves: undefined,
      preferServerCiphers: true,
    })
  })

  test('takes every key of tls_server_config', () => {
    const { tls } = config(`tls_server_config:
  cert: |
    CERT
  key: KEY
  client_ca: CA
  client_auth_type: RequireClientCert
  client_allowed_sans: [prometheus.example, "::1"]
  min_version: TLS13
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
  curve_preferences: [X25519, CurveP256]
`)
    expect(tls).toStrictEqual({
      cert: { origin: 'cert (/etc/web/web.yml:2)', text: 'CERT\n' },
      key: { origin: 'key (/etc/web/web.yml:4)', text: 'KEY' },
      clientCa: { origin: 'client_ca (/etc/web/web.yml:5)', text: 'CA' },
      clientAuth: 'RequireAnyClientCert',
      clientAllowedSans: ['prometheus.example', '::1'],
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      ciphers:
        'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE-RSA-AES128-SHA',
      curves: 'X25519:prime256v1',
      preferServerCiphers: false,
    })
  })

  test('takes users, headers and the rate limit', () => {
    const { users, headers, rateLimit } = config(`${tls}
basic_auth_users:
  alice: ${hash}
  "b\u00f6b smith": '${hash.replace('$2y', '$2a')}'
http_server_config:
  http2: false
  headers:
    X-Frame-Options: deny
    Strict-Transport-Security: max-age=1
    X-XSS-Protection:
rate_limit: {interval: 1m0.5s, burst: 20}
`)
    expect([...users.keys()]).toEqual(['alice', 'böb smith'])
    expect(users.get('alice')).toBe(hash)
    expect(headers).toEqual([
      ['X-Frame-Options', 'deny'],
      ['Strict-Transport-Security', 'max-age=1'],
    ])
    expect(rateLimit).toEqual({ intervalMs: 60_500, burst: 20 })
    expect(config('rate_limit: {interval: 0, burst: 1}').rateLimit).toBeUndefined()
  })

  test.each([4, 10, 14, 18, 20, 29, 31])('takes hashes of cost %d', (cost) => {
    const text = hash.replace('$10$', `$${String(cost).padStart(2, '0')}$`)
    expect(config(`basic_auth_users: {a: "${text}"}`).users.get('a')).toBe(text)
  })

  test('notes what its user may have meant otherwise', () => {
    expect(config(`${tls}http_server_config: {http2: true}`).notes).toEqual([
      'HTTP/2 is not offered, clients get HTTP/1.1: http2 is true and has no effect',
    ])
    expect(config(`basic_auth_users: {a: ${hash}}`).notes).toEqual([
      'Passwords are sent in the clear: basic_auth_users is set without tls_server_config',
    ])
    expect(config(`${tls}  client_auth_type: RequireAnyClientCert`).notes).toEqual([
      'client_auth_type RequireAnyClientCert keeps nobody out, only RequireAndVerifyClientCert does',
    ])
    const costly = (cost: number) =>
      config(`${tls}basic_auth_users: {a: ${hash}, b: ${hash.replace('$10$', `$${cost}$`)}}`).notes
    expect(costly(14)).toEqual([])
    expect(costly(18)).toEqual([
      'The bcrypt hash of "b" has a cost of 18: comparing it takes longer than a scraper waits, until it has succeeded once',
    ])
    expect(costly(21)).toEqual([
      'The bcrypt hash of "b" has a cost of 21: it is never compared, and the user is not let in',
    ])
    const whole = `${tls}  client_auth_type: RequireAndVerifyClientCert\n  client_ca: x\nbasic_auth_users: {a: ${hash}}`
    expect(config(whole).notes).toEqual([])
  })

  test('knows every cipher suite by the name that OpenSSL has', () => {
    for (const name of cipherSuites.values()) expect(getCiphers()).toContain(name.toLowerCase())
  })
})
