import { X509Certificate } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { admitsClient, parseAltNames } from '../../../src/web/protection/client-certificates.ts'
import { clientAuthTypes } from '../../../src/web/protection/tls-names.ts'
import { createTestAuthority } from '../../support/program/test-certificates.ts'

const certificate = new X509Certificate(createTestAuthority().issue(['a.example', '::1']).cert)
const socketWith = (given: X509Certificate | undefined, authorized: boolean) => ({
  authorized,
  getPeerX509Certificate: () => given,
})

describe('admitsClient()', () => {
  // What node reports of a session of TLS 1.3 that was made without a certificate and resumed.
  test('takes authorized without a certificate for no certificate', () => {
    const admitted = clientAuthTypes.filter((clientAuth) =>
      admitsClient(socketWith(undefined, true), { clientAuth, clientAllowedSans: undefined }),
    )
    expect(admitted).toEqual(['NoClientCert', 'RequestClientCert', 'VerifyClientCertIfGiven'])
  })

  test('wants a verified certificate where it should, whatever TLS let through', () => {
    const admitted = clientAuthTypes.filter((clientAuth) =>
      admitsClient(socketWith(certificate, false), { clientAuth, clientAllowedSans: undefined }),
    )
    expect(admitted).toEqual(['NoClientCert', 'RequestClientCert', 'RequireAnyClientCert'])
  })

  test.each([
    [['a.example'], true],
    [['0:0::1'], true],
    [['b.example', 'A.EXAMPLE'], false],
    [['*.example'], false],
    [['Test server'], false],
  ])('compares the names of the certificate with %j', (clientAllowedSans, admitted) => {
    const policy = { clientAuth: 'RequireAndVerifyClientCert', clientAllowedSans } as const
    expect(admitsClient(socketWith(certificate, true), policy)).toBe(admitted)
    expect(admitsClient(socketWith(certificate, false), policy)).toBe(false)
  })
})

describe('parseAltNames()', () => {
  test('reads names, addresses and URIs, and no name inside of another', () => {
    // As node prints a certificate made with openssl for exactly these.
    const text = String.raw`URI:spiffe://a.b/c, email:a@b.c, IP Address:0:0:0:0:0:0:0:1, IP Address:10.0.0.1, DNS:x.y, URI:"http://a/b\u002cDNS:evil", DirName:"CN=DNS:evil\\\u002c DNS:more", Registered ID:1.2.3`
    const names = ['spiffe://a.b/c', 'a@b.c', '[::1]', '10.0.0.1', 'x.y', 'http://a/b,DNS:evil']
    expect([...parseAltNames(text)]).toEqual(names)
  })

  test('reads nothing from a certificate without any', () => {
    expect(parseAltNames('').size).toBe(0)
  })
})
