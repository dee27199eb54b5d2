import { getCiphers } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { NEVER_COMPARED } from '../../../src/web/protection/slow-hashes.ts'
import { cipherSuites } from '../../../src/web/protection/tls-names.ts'
import { parseWebConfig, type WebConfig } from '../../../src/web/protection/web-config.ts'

const hash = '$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG'
const other = '$2y$10$P5Zv1r1n4Pq8Yk8v3o2h0eQmRZqkqBqvS6E3kS2d1cVw7l0tK9x1W'
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

  test.each([`"${hash}\\n"`, `"${hash}x"`, `${hash} ü`, `|\n    ${hash}\n`])(
    'takes what bcrypt compares of the hash %j',
    (text) => {
      const { users, notes } = config(`${tls}basic_auth_users:\n  a: ${text}`)
      expect([...users]).toEqual([['a', hash]])
      expect(notes).toEqual([])
    },
  )

  test.each(['null', 'Null', '~', ''])(
    'takes %j for a group or value that is not given',
    (nothing) => {
      const groups = ['tls_server_config', 'basic_auth_users', 'http_server_config', 'rate_limit']
      expect(config(groups.map((group) => `${group}: ${nothing}\n`).join(''))).toEqual(config(''))
      const keys = ['client_ca', 'client_auth_type', 'min_version']
      const lists = ['cipher_suites', 'curve_preferences', 'prefer_server_cipher_suites']
      const text = [...keys, ...lists].map((key) => `  ${key}: ${nothing}\n`).join('')
      expect(config(tls + text).tls).toStrictEqual(config(tls).tls)
    },
  )

  test.each([
    ...['y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON'].map(
      (word) => [word, true] as const,
    ),
    ...['n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF'].map(
      (word) => [word, false] as const,
    ),
  ])('takes the switch %s of YAML 1.1', (word, on) => {
    const text = `${tls}  prefer_server_cipher_suites: ${word}\nhttp_server_config: {http2: ${word}}`
    expect(config(text).tls?.preferServerCiphers).toBe(on)
    expect(config(text).notes).toHaveLength(on ? 1 : 0)
  })

  test('follows aliases and merge keys', () => {
    const { users, headers, tls } = config(`
tls_server_config: {cert_file: &pem both.pem, key_file: *pem}
basic_auth_users:
  alice: &h ${hash}
  bob: *h
http_server_config:
  headers: &all {X-Frame-Options: deny, X-XSS-Protection: "0"}
`)
    expect([users.get('alice'), users.get('bob')]).toEqual([hash, hash])
    expect(headers).toHaveLength(2)
    expect(tls?.key).toMatchObject({ file: '/etc/web/both.pem' })
    const merged = config(`basic_auth_users: {<<: {a: ${hash}, b: ${hash}}, b: ${other}}`)
    expect([...merged.users].sort()).toEqual([
      ['a', hash],
      ['b', other],
    ])
  })

  test('speaks TLS 1.2 where older ones are asked for, and offers no suite without forward secrecy', () => {
    for (const version of ['TLS10', 'TLS11']) {
      const old = config(`${tls}  min_version: ${version}`)
      expect(old.tls).toStrictEqual(config(tls).tls)
      expect(old.notes).toEqual([`min_version is TLS12: ${version} is broken and not spoken`])
      expect(config(`${tls}  max_version: ${version}`)).toMatchObject({
        tls: { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' },
        notes: [`max_version is TLS12: ${version} is broken and not spoken`],
      })
    }
    const [broken, good] = ['TLS_RSA_WITH_AES_128_CBC_SHA', 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA']
    const mixed = config(`${tls}  cipher_suites: [${broken}, ${good}]`)
    expect(mixed.tls).toEqual(config(`${tls}  cipher_suites: [${good}]`).tls)
    expect(mixed.notes).toEqual([`${broken} is not offered: it has no forward secrecy`])
    const alone = config(`${tls}  cipher_suites: [${broken}]`)
    expect(alone.tls).toEqual(config(tls).tls)
    expect(alone.notes).toHaveLength(2)
  })

  test('takes hashes and names that let nobody in, asks for passwords all the same, and says so', () => {
    for (const odd of [
      hash.replace('2y', '2x'),
      hash.replace('2y', '2'),
      hash.slice(0, 59),
      `${hash.slice(0, 59)}\n`,
    ]) {
      const { users, notes } = config(`${tls}basic_auth_users: {a: ${JSON.stringify(odd)}}`)
      expect([...users]).toEqual([['a', NEVER_COMPARED]])
      expect(notes).toEqual([
        'The user "a" is not let in: the hash is not one that bcrypt makes today',
      ])
    }
    const colon = config(`${tls}basic_auth_users: {"a:b": ${hash}}`)
    expect(colon.users.size).toBe(1)
    expect(colon.notes).toEqual(['The user "a:b" is not let in: the name has a colon'])
  })

  test.each([
    ['{burst: 5}', undefined, 'There is no rate limit: rate_limit has a burst and no interval'],
    ['{interval: null, burst: 5}', undefined, 'There is no rate limit: rate_limit has a burst and'],
    ['{interval: -1s, burst: 5}', undefined, 'There is no rate limit: the interval of rate_limit'],
    ['{interval: 0s, burst: 0}', undefined, undefined],
    ['{interval: .5s, burst: 0x10}', { intervalMs: 500, burst: 16 }, undefined],
    [
      '{interval: 1000000000, burst: 1_000}',
      { intervalMs: 1000, burst: 1000 },
      'The interval of rate_limit is 1 s: a number without a unit is nanoseconds',
    ],
  ])('takes the rate limit %s', (text, rateLimit, note) => {
    const taken = config(`rate_limit: ${text}`)
    expect(taken.rateLimit).toEqual(rateLimit)
    expect(taken.notes).toEqual(note === undefined ? [] : [expect.stringContaining(note)])
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
