// Certificate, key and authorities of TLS settings, read and checked -> what node:tls serves with, or every problem at
// once.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { codeOf } from '../../error-code.ts'
import type { Outcome } from './web-config.ts'
import type { Pem, TlsSettings } from './web-config-tls.ts'

export type ReadFile = (path: string) => string

export function readSecureContext(
  tls: TlsSettings,
  readFile: ReadFile,
): Outcome<{ readonly context: SecureContextOptions }> {
  const problems: string[] = []
  const cert = readPem(tls.cert)
  const key = readPem(tls.key)
  const ca = tls.clientCa && readPem(tls.clientCa)
  const certificate = cert === undefined ? undefined : decodeCertificates(tls.cert, cert)[0]
  const privateKey = key === undefined ? undefined : decodeKey(tls.key, key)
  if (tls.clientCa !== undefined && ca !== undefined) decodeCertificates(tls.clientCa, ca)
  if (certificate && privateKey && !certificate.checkPrivateKey(privateKey)) {
    problems.push(`Cannot use ${tls.key.origin}: it is not the key of ${tls.cert.origin}`)
  }
  if (problems.length > 0 || cert === undefined || key === undefined) return { problems }

  const context: SecureContextOptions = {
    cert,
    key,
    ...(ca === undefined ? {} : { ca }),
    minVersion: tls.minVersion,
    maxVersion: tls.maxVersion,
    ciphers: tls.ciphers,
    ...(tls.curves === undefined ? {} : { ecdhCurve: tls.curves }),
    honorCipherOrder: tls.preferServerCiphers,
  }
  try {
    createSecureContext(context)
  } catch (error) {
    // OpenSSL has rules of its own, a key that is too short for example.
    return { problems: [`Cannot use ${tls.cert.origin} and ${tls.key.origin}: ${reasonOf(error)}`] }
  }
  return { context }

  function readPem(pem: Pem): string | undefined {
    if ('text' in pem) return pem.text
    try {
      return readFile(pem.file)
    } catch (error) {
      problems.push(`Cannot read ${pem.origin}: ${reasonOf(error)}`)
      return undefined
    }
  }

  function decodeCertificates({ origin }: Pem, text: string): readonly X509Certificate[] {
    const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
    if (blocks.length === 0) problems.push(`Cannot use ${origin}: it holds no certificate in PEM`)
    try {
      return blocks.map((block) => new X509Certificate(block))
    } catch {
      problems.push(`Cannot use ${origin}: it holds a damaged certificate`)
      return []
    }
  }

  function decodeKey({ origin }: Pem, text: string): KeyObject | undefined {
    try {
      return createPrivateKey(text)
    } catch {
      const encrypted = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text)
      const reason = encrypted
        ? 'its private key is encrypted, which is not supported'
        : 'it holds no private key in PEM'
      problems.push(`Cannot use ${origin}: ${reason}`)
      return undefined
    }
  }
}

const plainReasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
}

/** Neither file systems nor OpenSSL repeat what a file holds. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return (
    plainReasons[codeOf(error) ?? ''] ?? ('reason' in error ? String(error.reason) : error.message)
  )
}
