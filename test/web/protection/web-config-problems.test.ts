import { hashSync } from 'bcryptjs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseWebConfig } from '../../../src/web/protection/web-config.ts'

const hash = '$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG'
const tls = 'tls_server_config:\n  cert_file: a.crt\n  key_file: a.key\n'

function problems(text: string): readonly string[] {
  const outcome = parseWebConfig(text, 'web.yml')
  return 'problems' in outcome ? outcome.problems : []
}

describe('parseWebConfig() says what is wrong', () => {
  test.each([
    [
      'a list',
      '- a',
      [/^Cannot use web.yml:1: expected tls_server_config, http_server_config, ba/],
    ],
    ['text', 'hello', [/^Cannot use web.yml:1: expected tls_server_config/]],
    ['broken YAML', 'a: [', [/^Cannot parse web.yml:1: not valid YAML \(\w.*\)$/]],
    ['a key twice', `${tls}${tls}`, [/^Cannot parse web.yml:4: not valid YAML \(duplicate key\)$/]],
    ['an unknown key', 'tls_config: {}', [/^Unknown key "tls_config" \(web.yml:1\): /]],
    [
      'a key with a typing error',
      'tls_server_config:\n  cert_flie: a\n  key: b',
      [
        /^Unknown key "cert_flie" \(web.yml:2\): did you mean cert_file\?$/,
        /^Missing cert_file or cert in tls_server_config$/,
      ],
    ],
    [
      'keys of a newer toolkit',
      'auth_excluded_paths: [/metrics]',
      [/^Unknown key "auth_excluded_paths" \(web.yml:1\): expected /],
    ],
    [
      'neither certificate nor key',
      'tls_server_config: {min_version: TLS13}',
      [/^Missing cert_file or cert/, /^Missing key_file or key/],
    ],
    [
      'empty paths',
      'tls_server_config: {cert_file: "", key_file: ""}',
      [/^Missing cert_file or cert/, /^Missing key_file or key/],
    ],
    [
      'a certificate in two ways',
      `${tls}  cert: x`,
      [/^Cannot use cert \(web.yml:4\): cert_file is given as well$/],
    ],
    [
      'a path that is none',
      'tls_server_config: {cert_file: [a], key_file: "b\\0"}',
      [
        /^Cannot use cert_file \(web.yml:1\): expected the path of a file$/,
        /^Cannot use key_file \(web.yml:1\): expected the path of a file, PEM itself belongs in key$/,
      ],
    ],
    [
      'versions that are none',
      `${tls}  min_version: SSL30\n  max_version: TLS14`,
      [
        /^Cannot use "SSL30" for min_version \(web.yml:4\): expected TLS12 or TLS13$/,
        /^Cannot use "TLS14" for max_version/,
      ],
    ],
    [
      'versions the wrong way round',
      `${tls}  min_version: TLS13\n  max_version: TLS12`,
      [/^Cannot use max_version \(web.yml:5\): it is below min_version$/],
    ],
    [
      'an unknown client_auth_type',
      `${tls}  client_auth_type: Sometimes`,
      [/^Cannot use "Sometimes" for client_auth_type \(web.yml:4\): expected NoClientCert, R/],
    ],
    [
      'authorities for nothing',
      `${tls}  client_ca_file: /ca`,
      [/^Cannot use client_ca_file "\/ca": without a client_auth_type no client is asked/],
    ],
    [
      'verification without authorities',
      `${tls}  client_auth_type: RequireAndVerifyClientCert`,
      [/^Missing client_ca_file or client_ca: client_auth_type Req.* \(web.yml:4\) needs it$/],
    ],
    [
      'names without certificates',
      `${tls}  client_auth_type: RequestClientCert\n  client_allowed_sans: [a]`,
      [/^Cannot use client_allowed_sans \(web.yml:5\): it needs the client_auth_type RequireAny/],
    ],
    ...['[]', '', 'null', '~', '""', '[""]', 'a'].map((names): [string, string, RegExp[]] => [
      `no name at all (${names})`,
      `${tls}  client_auth_type: RequireAnyClientCert\n  client_allowed_sans: ${names}`,
      [/^Cannot use client_allowed_sans \(web.yml:5\): expected a list of names$/],
    ]),
    [
      'unknown cipher suites and curves',
      `${tls}  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n  curve_preferences: [secp256k1]`,
      [
        /^Cannot use "TLS_RSA_WITH_RC4_128_SHA" for cipher_suites \(web.yml:4\): expected TLS_AES/,
        /^Cannot use "secp256k1" for curve_preferences \(web.yml:5\): expected CurveP256, Cur/,
      ],
    ],
    [
      'no boolean',
      `${tls}  prefer_server_cipher_suites: 1\nhttp_server_config: {http2: maybe}`,
      [
        /^Cannot use "1" for prefer_server_cipher_suites \(web.yml:4\): expected true or false$/,
        /^Cannot use "maybe" for http2 \(web.yml:5\): expected true or false$/,
      ],
    ],
    [
      'other headers',
      'http_server_config: {headers: {Access-Control-Allow-Origin: "*"}}',
      [/^Unknown key "Access-Control-Allow-Origin" \(web.yml:1\): expected Content-Security-/],
    ],
    [
      'headers with other values',
      'http_server_config: {headers: {X-Frame-Options: maybe, X-XSS-Protection: "a\\nb"}}',
      [
        /^Cannot use "maybe" for X-Frame-Options \(web.yml:1\): expected deny or sameorigin$/,
        /^Cannot use "a\\nb" for X-XSS-Protection \(web.yml:1\): expected one line of printable/,
      ],
    ],
    [
      'no users',
      'basic_auth_users: [a]',
      [/^Cannot use basic_auth_users \(web.yml:1\): expected u/],
    ],
    [
      'users that nobody can name',
      `basic_auth_users: {"": ${hash}, ? [a] : ${hash}}`,
      [/^Cannot use a name in basic_auth_users \(web.yml:1\): it is empty$/, /^Cannot use a name/],
    ],
    ...['hunter2', '', hash.slice(0, -2), hash.replace('$10', '$32'), hash.replace('2y', '3y')].map(
      (password): [string, string, RegExp[]] => [
        `the password ${password}`,
        `basic_auth_users:\n  alice: "${password}"`,
        [/^Cannot use the password of "alice" \(web.yml:2\): expected a bcrypt hash \(\$2a\$, /],
      ],
    ),
    [
      'a rate limit that lets nobody in',
      'rate_limit: {interval: 1s}',
      [/^Missing burst in rate_limit \(web.yml:1\): without it no request would pass$/],
    ],
    [
      'a rate limit that is none',
      'rate_limit: {interval: 5d, burst: 0}',
      [/^Cannot use "5d" for interval \(web.yml:1\): expected a duration like 500ms, 1s or 1m30s/],
    ],
    [
      'a burst that is none',
      'rate_limit: {burst: many}',
      [/^Cannot use "many" for burst \(web.yml:1\): expected a whole number from 1 on$/],
    ],
    [
      'a password that is null',
      'basic_auth_users: {a: null, b: ~}',
      [/^Cannot use the password of "a" \(web.yml:1\): /, /^Cannot use the password of "b"/],
    ],
    ['aliases of nothing', `basic_auth_users: {a: *none}`, [/^Cannot use the password of "a"/]],
    [
      'no burst',
      'rate_limit: {interval: 5s, burst: 0}',
      [/^Cannot use "0" for burst \(web.yml:1\): expected a whole number from 1 on$/],
    ],
  ])('in %s', (_name, text, expected) => {
    const found = problems(text)
    expect(found).toEqual(expected.map((pattern) => expect.stringMatching(pattern)))
  })

  test('of all of a file at once', () => {
    const text =
      'a: 1\ntls_server_config: {min_version: 1}\nbasic_auth_users: {a: b}\nrate_limit: 3'
    expect(problems(text)).toHaveLength(6)
  })

  test('of aliases that stand for too much', () => {
    const users = Array.from({ length: 200 }, (_, at) => `u${at}: ${hash}`).join(', ')
    const bomb = `basic_auth_users: {x: &x {${users}}, ${Array.from({ length: 60 }, (_, at) => `v${at}: *x`).join(', ')}}`
    expect(problems(bomb)).toEqual(['Cannot parse web.yml: its aliases stand for too much'])
  })

  test('of nesting that no parser survives', () => {
    expect(problems('['.repeat(100_000))[0]).toMatch(/^Cannot parse web.yml/)
  })

  test('without repeating a secret, wherever in the file it stands', () => {
    const secret = hashSync('open sesame', 4)
    const lines = [
      'tls_server_config:',
      '  key: SECRET',
      '  key_file: "-----BEGIN PRIVATE KEY----- SECRET"',
      '  key: |',
      '    SECRET',
      'SECRET',
      '"SECRET": x',
      '  SECRET: [',
      'basic_auth_users:',
      '  alice: SECRET',
      '  alice: {SECRET: SECRET}',
      '- SECRET',
      'basic_auth_users: SECRET',
      '  key: *SECRET',
      '  : SECRET }',
      '\tkey: SECRET',
      'key: "SECRET\\q"',
      'key: !SECRET x',
      '%SECRET',
      '? SECRET\n: SECRET',
    ]
    const file = fc.array(fc.constantFrom(...lines), { maxLength: 8 })
    fc.assert(
      fc.property(file, (chosen) => {
        const text = chosen.join('\n').replaceAll('SECRET', secret)
        expect(problems(text).join('\n')).not.toContain(secret.slice(7, 20))
      }),
      { numRuns: 500 },
    )
  })
})
