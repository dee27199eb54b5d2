import { generateKeyPairSync } from 'node:crypto'
import { dirname } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import {
  type LiveWebConfigEvents,
  openLiveWebConfig,
} from '../../../src/web/protection/live-web-config.ts'
import { createTestAuthority } from '../../support/program/test-certificates.ts'
import {
  createWebConfigFolder,
  issueServer,
  tlsFiles,
  type WebConfigFolder,
} from './web-config-folder.ts'

const folders: WebConfigFolder[] = []

afterEach(() => {
  for (const folder of folders.splice(0)) folder.remove()
})

function createFolder(files: Readonly<Record<string, string>>): WebConfigFolder {
  const folder = createWebConfigFolder(files)
  folders.push(folder)
  return folder
}

function open(folder: WebConfigFolder, settings: { lookEveryMs?: number; nowMs?: () => number }) {
  const log: string[] = []
  const events: LiveWebConfigEvents = {
    changed: () => log.push('changed'),
    refused: (problems) => log.push(...problems),
  }
  const opened = openLiveWebConfig(folder.path, events, settings)
  if ('problems' in opened) throw new Error(opened.problems.join('\n'))
  return { live: opened.live, log }
}

/** Without the name of the folder, which may have any letters. */
function problemsOf(files: Readonly<Record<string, string>>): readonly string[] {
  const { path } = createFolder(files)
  const opened = openLiveWebConfig(path, { changed() {}, refused() {} })
  const problems = 'problems' in opened ? opened.problems : []
  return problems.map((problem) => problem.replaceAll(dirname(path), ''))
}

function keyPem(type: 'pkcs8' | 'encrypted' | 'traditional'): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const cipher = { cipher: 'aes-128-cbc', passphrase: 'x' }
  if (type === 'pkcs8') return String(privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const form = type === 'encrypted' ? 'pkcs8' : 'pkcs1'
  return String(privateKey.export({ type: form, format: 'pem', ...cipher }))
}

const { cert, key } = issueServer()
const damaged = cert.replace(/\n.{10}/, '\nAAAAAAAAAA')
const named = '  client_auth_type: RequireAnyClientCert\n'
const verify = '  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n'

describe('openLiveWebConfig() says what it cannot use', () => {
  test.each([
    [
      'no file at all',
      {},
      [/^Cannot read ".*web.yml" of --web.config.file: there is no such file$/],
    ],
    [
      'certificate and key that are not there',
      { 'web.yml': tlsFiles()['web.yml'] },
      [
        /^Cannot read cert_file ".*\/tls.crt": there is no such file$/,
        /^Cannot read key_file ".*\/tls.key": there is no such file$/,
      ],
    ],
    [
      "certificate and key in each other's place",
      tlsFiles('', { cert: key, key: cert }),
      [
        /^Cannot use cert_file ".*": it holds no certificate in PEM$/,
        /^Cannot use key_file ".*": it holds no private key in PEM$/,
      ],
    ],
    [
      'a key of another certificate',
      tlsFiles('', { cert, key: issueServer().key }),
      [/^Cannot use key_file ".*tls.key": it is not the key of cert_file ".*tls.crt"$/],
    ],
    [
      'a key of another kind',
      tlsFiles('', { cert, key: keyPem('pkcs8') }),
      [/^Cannot use key_file ".*tls.key": it is not the key of cert_file/],
    ],
    ...(['encrypted', 'traditional'] as const).map(
      (type): [string, Record<string, string>, RegExp[]] => [
        `an encrypted key, ${type}`,
        tlsFiles('', { cert, key: keyPem(type) }),
        [/^Cannot use key_file ".*": its private key is encrypted, which is not supported$/],
      ],
    ),
    [
      'a damaged certificate',
      tlsFiles('', { cert: damaged, key }),
      [/^Cannot use cert_file ".*": it holds a damaged certificate$/],
    ],
    [
      'authorities that hold no certificate',
      { ...tlsFiles(verify), 'ca.crt': 'hello' },
      [/^Cannot use client_ca_file ".*ca.crt": it holds no certificate in PEM$/],
    ],
    [
      'authorities of which one is damaged',
      { ...tlsFiles(verify), 'ca.crt': `${createTestAuthority().ca}${damaged}` },
      [/^Cannot use client_ca_file ".*ca.crt": it holds a damaged certificate$/],
    ],
    [
      'a problem of the file before those of its certificates',
      { 'web.yml': 'tls_server_config: {cert_file: gone, key_file: gone}\nnonsense: 1' },
      [/^Unknown key "nonsense"/],
    ],
  ])('in %s', (_name, files, expected) => {
    const found = problemsOf(files as Record<string, string>)
    expect(found).toEqual(expected.map((pattern) => expect.stringMatching(pattern)))
    expect(found.join('\n')).not.toMatch(/-----|MII|[A-Za-z0-9+/]{40}/)
  })
})

describe('current()', () => {
  const inline = (hash: string) => `basic_auth_users: {alice: "${hash}"}`
  const hashes = ['a', 'b'].map((letter) => `$2y$10$${letter.repeat(53)}`)
  const [one = '', two = ''] = hashes

  test('takes over what changed, and gives the same object while nothing does', () => {
    const folder = createFolder({ 'web.yml': inline(one) })
    const { live, log } = open(folder, { lookEveryMs: 0 })
    const before = live.current()
    expect(live.current()).toBe(before)
    folder.write('web.yml', inline(two))
    expect(live.current().config.users.get('alice')).toBe(two)
    expect(live.current()).toBe(live.current())
    expect(log).toEqual(['changed'])
  })

  test('looks at the disk once a second at most', () => {
    let now = 0
    const folder = createFolder({ 'web.yml': inline(one) })
    const { live } = open(folder, { nowMs: () => now })
    const user = () => live.current().config.users.get('alice')
    folder.write('web.yml', inline(two))
    now = 999
    expect(user()).toBe(one)
    now = 1000
    expect(user()).toBe(two)
    folder.write('web.yml', inline(one))
    now = 1999
    expect(user()).toBe(two)
    now = 2000
    expect(user()).toBe(one)
  })

  test.each([
    ['nonsense', /Unknown key|Cannot use/],
    ['basic_auth_users: {alice: open sesame}', /^Cannot use the password of "alice"/],
  ])('keeps the last configuration while the file says %j, and says so once', (text, message) => {
    const folder = createFolder({ 'web.yml': inline(one) })
    const { live, log } = open(folder, { lookEveryMs: 0 })
    folder.write('web.yml', text)
    for (let i = 0; i < 3; i++) expect(live.current().config.users.get('alice')).toBe(one)
    expect(log).toEqual([expect.stringMatching(message)])
    expect(log.join()).not.toContain('sesame')
    folder.write('web.yml', inline(two))
    expect(live.current().config.users.get('alice')).toBe(two)
    expect(log.slice(1)).toEqual(['changed'])
  })

  test('keeps the last configuration while the file is gone', () => {
    const folder = createFolder({ 'web.yml': inline(one) })
    const { live, log } = open(folder, { lookEveryMs: 0 })
    folder.remove()
    for (let i = 0; i < 3; i++) expect(live.current().config.users.get('alice')).toBe(one)
    expect(log).toEqual([expect.stringMatching(/^Cannot read .*: there is no such file$/)])
    folders.length = 0
  })

  test.each(['', 'basic_auth_users:'])(
    'goes on asking for passwords when the file says %j',
    (text) => {
      const folder = createFolder({ 'web.yml': inline(one) })
      const { live, log } = open(folder, { lookEveryMs: 0 })
      folder.write('web.yml', text)
      expect(live.current().config.users.get('alice')).toBe(one)
      expect(log).toEqual(['Cannot switch basic authentication off without a restart'])
    },
  )

  test.each([
    ['TLS on', '', tlsFiles()['web.yml'], 'Cannot switch TLS on or off without a restart'],
    ['TLS off', tlsFiles()['web.yml'], '', 'Cannot switch TLS on or off without a restart'],
    [
      'client_auth_type',
      tlsFiles()['web.yml'],
      tlsFiles('  client_auth_type: RequestClientCert\n')['web.yml'],
      'Cannot change client_auth_type without a restart',
    ],
    [
      'client_allowed_sans to any name, as in a file seen half written',
      tlsFiles(`${named}  client_allowed_sans: [a, b]\n`)['web.yml'],
      tlsFiles(named)['web.yml'],
      'Cannot do without client_allowed_sans without a restart',
    ],
  ])('does not change %s', (_name, before = '', after = '', message) => {
    const folder = createFolder({ ...tlsFiles('', { cert, key }), 'web.yml': before })
    const { live, log } = open(folder, { lookEveryMs: 0 })
    const loaded = live.current()
    folder.write('web.yml', after)
    expect(live.current()).toBe(loaded)
    expect(live.current()).toBe(loaded)
    expect(log).toEqual([message])
  })

  test('takes over other names of clients, and the first ones', () => {
    const folder = createFolder(tlsFiles(named))
    const { live, log } = open(folder, { lookEveryMs: 0 })
    for (const names of [['a'], ['b', 'c']]) {
      folder.write('web.yml', `${tlsFiles(named)['web.yml']}  client_allowed_sans: [${names}]\n`)
      expect(live.current().config.tls?.clientAllowedSans).toEqual(names)
    }
    expect(log).toEqual(['changed', 'changed'])
  })
})
