// Whether a client whose TLS handshake has ended may come in, by client_auth_type and client_allowed_sans.

import type { TLSSocket } from 'node:tls'
import type { TlsSettings } from './web-config-tls.ts'

/**
 * NB: `authorized` alone is not enough. Node calls a resumed TLS 1.3 session without any certificate authorized, hence
 * the certificate itself is asked for.
 */
export function admitsClient(
  socket: Pick<TLSSocket, 'authorized' | 'getPeerX509Certificate'>,
  { clientAuth, clientAllowedSans }: Pick<TlsSettings, 'clientAuth' | 'clientAllowedSans'>,
): boolean {
  if (clientAuth === 'NoClientCert') return true
  // Asking also empties OpenSSL's list of errors, where a signature that does not verify (an authority of the right
  // name with another key) would otherwise fail the next read of a connection that is welcome all the same.
  const certificate = socket.getPeerX509Certificate()
  if (clientAuth === 'RequestClientCert') return true
  if (certificate === undefined) return clientAuth === 'VerifyClientCertIfGiven'
  if (clientAuth !== 'RequireAnyClientCert' && !socket.authorized) return false
  if (clientAllowedSans === undefined) return true
  const names = parseAltNames(certificate.subjectAltName ?? '')
  return clientAllowedSans.some((allowed) => names.has(canonical(allowed)))
}

/** `DNS:a.example, IP Address:10.0.0.1`; Node writes a value that could be misread as a JSON string. */
export function parseAltNames(text: string): ReadonlySet<string> {
  const names = new Set<string>()
  for (const [, type = '', quoted, plain] of text.matchAll(
    /(?:^|, )([A-Za-z][A-Za-z ]*):(?:("(?:[^"\\]|\\.)*")|([^,"]*))(?=, |$)/g,
  )) {
    if (!['DNS', 'IP Address', 'URI', 'email'].includes(type)) continue
    const name = quoted === undefined ? plain : parseQuoted(quoted)
    if (name !== undefined) names.add(canonical(name))
  }
  return names
}

/** Undefined where it is no JSON: what a client sends may not end the program, whatever Node makes of it. */
function parseQuoted(text: string): string | undefined {
  try {
    return String(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** An IPv6 address in its one short form; everything else as it is. */
function canonical(name: string): string {
  if (!/^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$/.test(name)) return name
  try {
    return new URL(`http://[${name}]/`).hostname
  } catch {
    return name
  }
}
