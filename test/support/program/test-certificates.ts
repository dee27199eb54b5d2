// Certificates made on the spot for servers that exist during one test: X.509 v3 (RFC 5280) in DER, since node:crypto
// reads certificates but makes none. Nothing here is fit for anything else.

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

export interface TestCertificate {
  /** PEM. */
  readonly cert: string
  /** PEM, PKCS #8. */
  readonly key: string
}

export interface TestAuthority {
  /** PEM of the authority itself. */
  readonly ca: string
  /** For servers under these names and addresses. */
  issue(names: readonly string[], options?: { readonly expired?: boolean }): TestCertificate
}

const DAY_MS = 86_400_000

export function createTestAuthority(name = 'Test authority'): TestAuthority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const authority = { issuer: name, signer: privateKey }
  return {
    ca: encodeCertificate({ ...authority, subject: name, publicKey, extensions: [isAuthority] }),
    issue(names, { expired = false } = {}) {
      const server = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      return {
        key: server.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
        cert: encodeCertificate({
          ...authority,
          subject: 'Test server',
          publicKey: server.publicKey,
          extensions: [isNotAuthority, alternativeNames(names)],
          endsInMs: expired ? -DAY_MS : DAY_MS,
        }),
      }
    },
  }
}

interface Certificate {
  readonly issuer: string
  readonly signer: KeyObject
  readonly subject: string
  readonly publicKey: KeyObject
  readonly extensions: readonly Buffer[]
  readonly endsInMs?: number
}

function encodeCertificate(certificate: Certificate): string {
  const { issuer, signer, subject, publicKey, extensions, endsInMs = DAY_MS } = certificate
  const ecdsaWithSha256 = tag(0x30, hex('06082a8648ce3d040302'))
  const content = tag(
    0x30,
    tag(0xa0, hex('020102')), // version 3
    tag(0x02, Buffer.of(1), randomBytes(8)), // a positive serial number
    ecdsaWithSha256,
    distinguishedName(issuer),
    tag(0x30, utcTime(Date.now() - 2 * DAY_MS), utcTime(Date.now() + endsInMs)),
    distinguishedName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tag(0xa3, tag(0x30, ...extensions)),
  )
  const signature = tag(0x03, Buffer.of(0), sign('sha256', content, signer))
  const base64 = tag(0x30, content, ecdsaWithSha256, signature).toString('base64')
  const lines = base64.match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}

const isAuthority = extension('551d13', hex('30030101ff'), true)
const isNotAuthority = extension('551d13', hex('3000'), true)

function alternativeNames(names: readonly string[]): Buffer {
  const encoded = names.map((name) =>
    isIP(name) === 0
      ? tag(0x82, Buffer.from(name))
      : tag(0x87, Buffer.from(ipaddr.parse(name).toByteArray())),
  )
  return extension('551d11', tag(0x30, ...encoded), false)
}

function extension(oid: string, value: Buffer, critical: boolean): Buffer {
  const flag = critical ? hex('0101ff') : Buffer.alloc(0)
  return tag(0x30, tag(0x06, hex(oid)), flag, tag(0x04, value))
}

function distinguishedName(commonName: string): Buffer {
  const attribute = tag(0x30, hex('0603550403'), tag(0x0c, Buffer.from(commonName)))
  return tag(0x30, tag(0x31, attribute))
}

/** 991231235959Z, UTC. */
function utcTime(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\D/g, '').slice(2, 14)
  return tag(0x17, Buffer.from(`${digits}Z`))
}

function tag(type: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content)
  const { length } = body
  if (length < 0x80) return Buffer.concat([Buffer.of(type, length), body])
  const size = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.of(type, ...size), body])
}

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex')
}
