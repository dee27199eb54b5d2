import { describe, expect, test } from 'vitest'
import { readInClusterSettings } from '../../src/pods/cluster.ts'

const account = '/var/run/secrets/kubernetes.io/serviceaccount'
const env = {
  KUBERNETES_SERVICE_HOST: '10.96.0.1',
  KUBERNETES_SERVICE_PORT: '443',
  NODE_NAME: 'ip-10-0-0-7.eu-west-1.compute.internal',
}

function read(changes: Record<string, string | undefined>, files = ['token', 'ca.crt']) {
  const paths = files.map((file) => `${account}/${file}`)
  return readInClusterSettings({
    env: { ...env, ...changes },
    exists: (path) => paths.includes(path),
    read: (path) => `contents of ${path}`,
  })
}

describe('readInClusterSettings()', () => {
  test('says how to reach the API when this is a pod', () => {
    const found = read({})
    if (!('settings' in found)) throw new Error(found.problem)
    const { settings } = found
    expect(settings).toMatchObject({
      nodeName: 'ip-10-0-0-7.eu-west-1.compute.internal',
      apiServer: { host: '10.96.0.1', port: 443 },
    })
    expect(settings.readToken()).toBe(`contents of ${account}/token`)
    expect(settings.readCa()).toBe(`contents of ${account}/ca.crt`)
  })

  test('reads the files anew when they are asked for again', () => {
    let reads = 0
    const found = readInClusterSettings({ env, exists: () => true, read: () => `${++reads}` })
    if (!('settings' in found)) throw new Error(found.problem)
    expect([found.settings.readToken(), found.settings.readToken()]).toEqual(['1', '2'])
  })

  test.each(['fd00:10:96::1', '[fd00:10:96::1]'])(
    'gives the host without brackets when it is %s',
    (host) => {
      expect(read({ KUBERNETES_SERVICE_HOST: host })).toMatchObject({
        settings: { apiServer: { host: 'fd00:10:96::1' } },
      })
    },
  )

  test.each([
    [
      'this is no pod',
      { KUBERNETES_SERVICE_HOST: undefined },
      undefined,
      'KUBERNETES_SERVICE_HOST is not set: this is not a pod of a Kubernetes cluster',
    ],
    [
      'the host is empty',
      { KUBERNETES_SERVICE_HOST: '' },
      undefined,
      'KUBERNETES_SERVICE_HOST is not set: this is not a pod of a Kubernetes cluster',
    ],
    [
      'the port is text',
      { KUBERNETES_SERVICE_PORT: 'https' },
      undefined,
      'KUBERNETES_SERVICE_PORT is not a port: "https"',
    ],
    [
      'the port is too high',
      { KUBERNETES_SERVICE_PORT: '65536' },
      undefined,
      'KUBERNETES_SERVICE_PORT is not a port: "65536"',
    ],
    [
      'no token is mounted',
      {},
      [],
      `${account}/token does not exist: set automountServiceAccountToken: true on the pod`,
    ],
    [
      'no CA is mounted',
      {},
      ['token'],
      `${account}/ca.crt does not exist: set automountServiceAccountToken: true on the pod`,
    ],
    [
      'the node is not told',
      { NODE_NAME: undefined },
      undefined,
      'NODE_NAME is not set: take it from the field spec.nodeName of the pod',
    ],
    [
      'the node would be more than one selector',
      { NODE_NAME: 'a,metadata.namespace=b' },
      undefined,
      'NODE_NAME is not the name of a node: "a,metadata.namespace=b"',
    ],
  ])('says what is missing when %s', (_name, changes, files, problem) => {
    expect(read(changes, files)).toEqual({ problem })
  })
})
