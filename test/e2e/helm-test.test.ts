// The script of `helm test`, run here as its pod would: it asks every pod, and believes none.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { Server } from 'node:net'
import { beforeEach, describe, expect, test } from 'vitest'
import { findHelm, objectOf, renderChart } from '../support/cluster/helm.ts'
import { at, fieldsOf, listOf } from '../support/cluster/kube-container.ts'
import { findFreePort } from '../support/program/free-port.ts'
import { waitFor, withProgram } from '../support/program/program.ts'
import { createTestAuthority } from '../support/program/test-certificates.ts'

const helms = findHelm()

beforeEach((context) => {
  if (helms[0]?.path === undefined && process.env.CI !== 'true') {
    context.skip('needs helm3 (.ci/run installs it)')
  }
})

/** What a name server would answer to the name of the headless Service. */
const resolveTo = (addresses: readonly string[]) =>
  `--import=data:text/javascript,${encodeURIComponent(`
    import dns from 'node:dns/promises'
    import { syncBuiltinESMExports } from 'node:module'
    let asked = 0
    dns.lookup = async (name, { all }) => {
      if (name !== 'ports-ephemeral-port-exporter-pods.ports.svc' || !all) throw new Error(name)
      // The first answer comes before the name is known.
      if (asked++ === 0) throw Object.assign(new Error('ENOTFOUND'), { code: 'ENOTFOUND' })
      return ${JSON.stringify(addresses)}.map((address) => ({ address, family: 4 }))
    }
    syncBuiltinESMExports()`)}`

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('Cannot tell the port')
  return address.port
}

describe('helm test', () => {
  const [helm] = helms
  /** The container of the test pod, run here against a port of loopback. */
  async function runTest(
    values: unknown,
    port: number,
    addresses: readonly string[] = ['127.0.0.1'],
  ): Promise<{ status: number | null; output: string }> {
    if (helm === undefined) throw new Error('No Helm')
    const pod = objectOf(renderChart(helm, values), 'Pod')
    const [container] = listOf(at(pod, 'spec').containers)
    const { command, args, env } = at(container)
    expect(command).toEqual(['/nodejs/bin/node', '--input-type=module', '--eval'])
    const variables = listOf(env).map((it): [string, string] => [
      String(fieldsOf(it).name),
      String(fieldsOf(it).value),
    ])
    const child = spawn(
      process.execPath,
      [...listOf(command).slice(1).map(String), ...listOf(args).map(String)],
      {
        env: {
          ...Object.fromEntries(variables),
          TARGET_PORT: `${port}`,
          NODE_OPTIONS: resolveTo(addresses),
        },
      },
    )
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk
      })
    }
    await once(child, 'close')
    return { status: child.exitCode, output }
  }

  async function withServer<T>(
    status: number,
    page: string,
    use: (port: number) => Promise<T>,
  ): Promise<T> {
    const server = createServer((_, response) => response.writeHead(status).end(page))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      return await use(portOf(server))
    } finally {
      server.close()
    }
  }

  const password = { webConfig: { basic_auth_users: { a: `$2y$10$${'a'.repeat(53)}` } } }

  test('passes on the real page', async () => {
    const port = await findFreePort()
    await withProgram([`--web.listen-address=127.0.0.1:${port}`], async () => {
      await waitFor(async () => (await fetch(`http://127.0.0.1:${port}/-/ready`)).ok || undefined)
      const { status, output } = await runTest({}, port)
      expect({ status, output }).toEqual({
        status: 0,
        output: expect.stringMatching(/^127\.0\.0\.1: [1-9]\d* pools\n$/),
      })
      expect(await runTest(password, port)).toEqual({
        status: 1,
        output: '127.0.0.1: asked for no credentials: status 200\n',
      })
    })
  })

  test('takes a refusal for want of a certificate as proof, and nothing else over TLS', async () => {
    const certificate = createTestAuthority().issue(['localhost'])
    const run = async (requestCert: boolean) => {
      const server = createSecureServer(
        { ...certificate, requestCert, rejectUnauthorized: requestCert },
        (_, response) => response.end('nothing'),
      )
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const tls_server_config = {
        cert_file: 'a',
        key_file: 'b',
        client_auth_type: 'RequireAndVerifyClientCert',
        client_ca_file: 'c',
      }
      try {
        return await runTest({ webConfig: { tls_server_config } }, portOf(server))
      } finally {
        server.close()
      }
    }
    expect(await run(true)).toEqual({ status: 0, output: '127.0.0.1: asks for credentials\n' })
    expect(await run(false)).toMatchObject({ status: 1 })
  })

  test('asks each pod, and fails where one of them does', async () => {
    const page = 'ephemeral_port_exporter_build_info{} 1\nephemeral_port_pool_available_ports{} 5\n'
    await withServer(200, page, async (port) => {
      const broken = createServer((_, response) => response.writeHead(503).end())
      broken.listen(port, '127.0.0.2')
      await once(broken, 'listening')
      try {
        const pods = ['127.0.0.1', '127.0.0.2', '127.0.0.3']
        const { status, output } = await runTest({}, port, pods)
        expect(status).toBe(1)
        expect(output.split('\n').toSorted()).toEqual([
          '',
          '127.0.0.1: 1 pools',
          '127.0.0.2: status 503',
          expect.stringContaining('127.0.0.3: connect ECONNREFUSED'),
        ])
      } finally {
        broken.close()
      }
    })
  })

  test('fails on another page, on one without pools, and where nobody answers', async () => {
    const build = 'ephemeral_port_exporter_build_info{version="1"} 1\n'
    const run = (status: number, page: string, values = {}) =>
      withServer(status, page, (port) => runTest(values, port))
    expect(await run(200, 'up 1\n')).toMatchObject({ status: 1 })
    expect(await run(200, build)).toEqual({ status: 1, output: '127.0.0.1: knows no pool\n' })
    expect(await run(503, build)).toEqual({ status: 1, output: '127.0.0.1: status 503\n' })
    expect(await run(401, '', password)).toEqual({
      status: 0,
      output: '127.0.0.1: asks for credentials\n',
    })
    const port = await findFreePort()
    expect(await runTest({}, port)).toMatchObject({ status: 1 })
    expect((await runTest({}, port)).output).toContain('ECONNREFUSED')
  })
})
