// The group tls_server_config of a web configuration file: keys -> what to serve TLS with. Pure: files are named here
// and read in tls-files.ts.

import { dirname, isAbsolute, join } from 'node:path'
import type { SecureVersion } from 'node:tls'
import { quote } from '../../config/problem.ts'
import type { Field, Tree } from '../../config/yaml-tree.ts'
import {
  brokenSuites,
  brokenVersions,
  type ClientAuthType,
  cipherSuites,
  clientAuthTypes,
  curves,
  renderCipherList,
  tlsVersions,
} from './tls-names.ts'
import {
  type Fields,
  list,
  readFields,
  readItems,
  readName,
  readSwitch,
  readText,
} from './web-config-fields.ts'

/** PEM, or the file that holds it. */
export type Pem = {
  /** The key that names it, in words for a problem. */
  readonly origin: string
} & ({ readonly text: string } | { readonly file: string })

export interface TlsSettings {
  readonly cert: Pem
  readonly key: Pem
  readonly clientCa: Pem | undefined
  readonly clientAuth: ClientAuthType
  /** Undefined where any name will do. */
  readonly clientAllowedSans: readonly string[] | undefined
  readonly minVersion: SecureVersion
  readonly maxVersion: SecureVersion
  /** Ciphers as OpenSSL writes them. */
  readonly ciphers: string
  readonly curves: string | undefined
  readonly preferServerCiphers: boolean
}

const keys = [
  'cert',
  'cert_file',
  'key',
  'key_file',
  'client_ca',
  'client_ca_file',
  'client_auth_type',
  'client_allowed_sans',
  'min_version',
  'max_version',
  'cipher_suites',
  'prefer_server_cipher_suites',
  'curve_preferences',
] as const
type TlsFields = Fields<(typeof keys)[number]>

const authTypes: ReadonlyMap<string, ClientAuthType> = new Map([
  ...clientAuthTypes.map((name) => [name, name] as const),
  // The older name, which the exporter-toolkit still takes.
  ['RequireClientCert', 'RequireAnyClientCert'] as const,
])

/** Undefined without TLS, and where `problems` grew. */
export function readTlsSettings(
  tree: Tree,
  path: string,
  problems: string[],
  notes: string[],
): TlsSettings | undefined {
  const before = problems.length
  const field = readFields(tree, { group: 'tls_server_config', keys }, problems)
  if (tree.kind !== 'map' || tree.fields.length === 0) return undefined

  const cert = readOwnPem(field, 'cert', path, problems)
  const key = readOwnPem(field, 'key', path, problems)
  const minVersion = readVersion(field('min_version'), problems, notes) ?? 'TLSv1.2'
  const maxVersion = readVersion(field('max_version'), problems, notes) ?? 'TLSv1.3'
  if (minVersion > maxVersion) {
    problems.push(
      `Cannot use max_version (${field('max_version')?.where}): it is below min_version`,
    )
  }
  const ciphers = readSuites(field('cipher_suites'), problems, notes)
  const chosenCurves = readNames(field('curve_preferences'), curves, problems)
  const settings = {
    minVersion,
    maxVersion,
    ciphers: renderCipherList(ciphers),
    curves:
      chosenCurves.length > 0
        ? chosenCurves.map((name) => curves.get(name) ?? name).join(':')
        : undefined,
    preferServerCiphers: readSwitch(field('prefer_server_cipher_suites'), problems) ?? true,
    ...readClientAuth(field, path, problems),
  }
  if (problems.length > before || cert === undefined || key === undefined) return undefined
  return { cert, key, ...settings }
}

function readClientAuth(field: TlsFields, path: string, problems: string[]) {
  const authField = field('client_auth_type')
  const before = problems.length
  const clientAuth = readName(authField, authTypes, problems) ?? 'NoClientCert'
  const known = problems.length === before
  const clientCa = readPem(field, 'client_ca', path, problems)
  const sansField = field('client_allowed_sans')
  const sans = readItems(sansField, 'names', problems)
  // To the exporter-toolkit nothing means any name here, where the file wants some.
  if (sansField !== undefined && sans === undefined) {
    problems.push(`Cannot use client_allowed_sans (${sansField.where}): expected a list of names`)
  }
  if (known && clientCa !== undefined && clientAuth === 'NoClientCert') {
    problems.push(
      `Cannot use ${clientCa.origin}: without a client_auth_type no client is asked for a certificate`,
    )
  }
  // Go would take the authorities of the system, so that anybody with a public certificate came in.
  // VerifyClientCertIfGiven lets in anybody who shows none, so that the public authorities open no further door.
  if (clientAuth === 'RequireAndVerifyClientCert' && clientCa === undefined) {
    problems.push(
      `Missing client_ca_file or client_ca: client_auth_type ${clientAuth} (${authField?.where}) needs it`,
    )
  }
  if (known && sans !== undefined && !clientAuth.startsWith('Require')) {
    problems.push(
      `Cannot use client_allowed_sans (${sansField?.where}): it needs the client_auth_type RequireAnyClientCert or RequireAndVerifyClientCert`,
    )
  }
  return { clientAuth, clientCa, clientAllowedSans: sans?.map(({ text }) => text) }
}

/** Reads a PEM of the server itself, which must be there. */
function readOwnPem(
  field: TlsFields,
  name: 'cert' | 'key',
  path: string,
  problems: string[],
): Pem | undefined {
  const before = problems.length
  const pem = readPem(field, name, path, problems)
  if (pem === undefined && problems.length === before) {
    problems.push(`Missing ${name}_file or ${name} in tls_server_config`)
  }
  return pem
}

function readPem(
  field: TlsFields,
  name: 'cert' | 'key' | 'client_ca',
  path: string,
  problems: string[],
): Pem | undefined {
  const [inlineField, fileField] = [field(name), field(`${name}_file`)]
  const text = readText(inlineField, 'PEM as text', problems)
  const file = readText(fileField, 'the path of a file', problems)
  if (text !== undefined && file !== undefined) {
    problems.push(`Cannot use ${name} (${inlineField?.where}): ${name}_file is given as well`)
  }
  if (file !== undefined) {
    // NB: a key pasted here must not be repeated.
    if (/\p{Cc}|-----BEGIN/u.test(file)) {
      const where = `${name}_file (${fileField?.where})`
      problems.push(
        `Cannot use ${where}: expected the path of a file, PEM itself belongs in ${name}`,
      )
      return undefined
    }
    const absolute = isAbsolute(file) ? file : join(dirname(path), file)
    return { origin: `${name}_file ${quote(absolute)}`, file: absolute }
  }
  return text === undefined ? undefined : { origin: `${name} (${inlineField?.where})`, text }
}

function readVersion(
  field: Field | undefined,
  problems: string[],
  notes: string[],
): SecureVersion | undefined {
  if (field?.value.kind === 'text' && brokenVersions.has(field.value.text)) {
    notes.push(`${field.name} is TLS12: ${field.value.text} is broken and not spoken`)
    return 'TLSv1.2'
  }
  return readName(field, tlsVersions, problems)
}

function readSuites(
  field: Field | undefined,
  problems: string[],
  notes: string[],
): readonly string[] {
  const known = new Map([
    ...cipherSuites,
    ...[...brokenSuites].map((name) => [name, name] as const),
  ])
  const names = readNames(field, known, problems)
  const offered = names.filter((name) => !brokenSuites.has(name))
  for (const name of names) {
    if (brokenSuites.has(name)) notes.push(`${name} is not offered: it has no forward secrecy`)
  }
  if (names.length > 0 && offered.length === 0) {
    notes.push('The default cipher suites are offered: no other one of cipher_suites is left')
  }
  return offered
}

function readNames(
  field: Field | undefined,
  names: ReadonlyMap<string, string>,
  problems: string[],
): readonly string[] {
  // An empty list means the default to the exporter-toolkit.
  if (field?.value.kind === 'list' && field.value.items.length === 0) return []
  const items = readItems(field, 'names', problems) ?? []
  const offered = [...names.keys()].filter((name) => !brokenSuites.has(name))
  for (const { text, where } of items) {
    if (!names.has(text)) {
      problems.push(
        `Cannot use ${quote(text)} for ${field?.name} (${where}): expected ${list(offered)}`,
      )
    }
  }
  return items.map(({ text }) => text)
}
