// The words of the exporter-toolkit for TLS, which are Go's, and what OpenSSL calls the same.

import type { SecureVersion } from 'node:tls'

export const tlsVersions: ReadonlyMap<string, SecureVersion> = new Map([
  ['TLS12', 'TLSv1.2'],
  ['TLS13', 'TLSv1.3'],
])

/** Names that the exporter-toolkit takes as well. They are broken (RFC 8996), and TLS 1.2 is what is spoken instead. */
export const brokenVersions: ReadonlySet<string> = new Set(['TLS10', 'TLS11'])

/** How clients' certificates are treated, by the names of Go's crypto/tls. */
export const clientAuthTypes = [
  'NoClientCert',
  'RequestClientCert',
  'RequireAnyClientCert',
  'VerifyClientCertIfGiven',
  'RequireAndVerifyClientCert',
] as const
export type ClientAuthType = (typeof clientAuthTypes)[number]

export const curves: ReadonlyMap<string, string> = new Map([
  ['CurveP256', 'prime256v1'],
  ['CurveP384', 'secp384r1'],
  ['CurveP521', 'secp521r1'],
  ['X25519', 'X25519'],
])

/** The suites of TLS 1.3 cannot be chosen in Go, and are the same in OpenSSL. */
const suites13 = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
] as const

/** What is offered when nothing is chosen: forward secrecy and authenticated encryption only. */
const defaultSuites12 = [
  ['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
  ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ['TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
  ['TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ['TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
  ['TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-RSA-CHACHA20-POLY1305'],
] as const

/** The suites that tls.CipherSuites() of Go lists. */
export const cipherSuites: ReadonlyMap<string, string> = new Map<string, string>([
  ...suites13.map((name) => [name, name] as const),
  ...defaultSuites12,
  ['TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA', 'ECDHE-ECDSA-AES128-SHA'],
  ['TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA', 'ECDHE-RSA-AES128-SHA'],
  ['TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA', 'ECDHE-ECDSA-AES256-SHA'],
  ['TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA', 'ECDHE-RSA-AES256-SHA'],
])

/** Names that it listed before Go 1.22, which keep no secret once the key is lost: none of them is offered. */
export const brokenSuites: ReadonlySet<string> = new Set([
  'TLS_RSA_WITH_AES_128_CBC_SHA',
  'TLS_RSA_WITH_AES_256_CBC_SHA',
  'TLS_RSA_WITH_AES_128_GCM_SHA256',
  'TLS_RSA_WITH_AES_256_GCM_SHA384',
])

/**
 * The `ciphers` of node:tls. As in Go a choice limits TLS 1.2 alone: OpenSSL gets the suites of TLS 1.3 in any case,
 * since node:tls would give up that version without them.
 */
export function renderCipherList(chosen: readonly string[]): string {
  const names = chosen.length > 0 ? chosen : defaultSuites12.map(([name]) => name)
  const translated = names.map((name) => cipherSuites.get(name) ?? name)
  return [...new Set([...suites13, ...translated])].join(':')
}
