import { afterEach, describe, expect, test, vi } from 'vitest'
import type { PodListFailure } from '../../src/pods/answer.ts'
import { listPods } from '../../src/pods/list.ts'
import {
  type FakeApiServer,
  type FakeApiServerOptions,
  podObject,
  sourceOf,
  startFakeApiServer,
} from '../support/cluster/fake-api-server.ts'
import { createTestAuthority } from '../support/program/test-certificates.ts'

const running: FakeApiServer[] = []

afterEach(async () => {
  vi.unstubAllEnvs()
  for (const server of running.splice(0)) await server.close()
})

async function start(options?: FakeApiServerOptions): Promise<FakeApiServer> {
  const fake = await startFakeApiServer(options)
  running.push(fake)
  fake.pods = [podObject({ uid: 'a', name: 'cart' })]
  return fake
}

function failure(reason: PodListFailure, message: RegExp): unknown {
  return expect.objectContaining({ reason, message: expect.stringMatching(message) })
}

describe('listPods() sends the token to nobody', () => {
  const other = createTestAuthority('Another authority')
  const authority = createTestAuthority()

  test.each([
    ['another CA signed the certificate', { certificate: other.issue(['127.0.0.1']) }],
    ['a CA of the same name signed it', { certificate: authority.issue(['127.0.0.1']) }],
  ])('when %s', async (_name, options) => {
    const fake = await start(options)
    // Even where the whole process was told to trust everybody.
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    await expect(listPods(sourceOf(fake))).rejects.toEqual(failure('untrusted', /certificate|sign/))
    expect(fake.requests).toEqual([])
  })

  test.each([
    ['another name', authority.issue(['kubernetes.default.svc']), /does not match|not in the cert/],
    ['another address', authority.issue(['127.0.0.2']), /does not match|not in the cert/],
    ['the past', authority.issue(['127.0.0.1'], { expired: true }), /expired/],
  ])('when the certificate is valid for %s', async (_name, certificate, message) => {
    const fake = await start({ certificate })
    const source = sourceOf(fake, { readCa: () => authority.ca })
    await expect(listPods(source)).rejects.toEqual(failure('untrusted', message))
    expect(fake.requests).toEqual([])
  })

  test.each([
    ['is empty', () => '', /holds no certificate/],
    ['is something else', () => Buffer.from('not a certificate'), /holds no certificate/],
    [
      'is broken',
      () => '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
      /^Cannot get an answer/,
    ],
    [
      'cannot be read',
      () => {
        throw new Error('ENOENT: ca.crt')
      },
      /^Cannot read the CA of the Kubernetes API: ENOENT: ca\.crt$/,
    ],
  ])('when the CA %s', async (_name, readCa, message) => {
    const fake = await start()
    await expect(listPods(sourceOf(fake, { readCa }))).rejects.toEqual(
      failure('untrusted', message),
    )
    expect(fake.requests).toEqual([])
  })

  test.each([
    ['is empty', () => '\n', /empty or more than one line/],
    ['has two lines', () => 'secret\r\nX-Remote-User: admin', /empty or more than one line/],
    [
      'cannot be read',
      () => {
        throw new Error('EACCES')
      },
      /^Cannot read the service account token: EACCES$/,
    ],
  ])('when the token %s', async (_name, readToken, message) => {
    const fake = await start()
    const asked = listPods(sourceOf(fake, { readToken }))
    await expect(asked).rejects.toEqual(failure('unauthorized', message))
    await expect(asked).rejects.not.toThrow(/secret/)
    expect(fake.requests).toEqual([])
  })
})

test('listPods() trusts the new CA when it was replaced between two lists', async () => {
  const authority = createTestAuthority()
  const fake = await start({ certificate: authority.issue(['127.0.0.1']) })
  const cas = [fake.ca, authority.ca]
  const source = sourceOf(fake, { readCa: () => cas.shift() ?? '' })
  await expect(listPods(source)).rejects.toEqual(failure('untrusted', /./))
  expect(await listPods(source)).toHaveLength(1)
})
