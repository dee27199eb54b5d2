// The built program behind TLS and basic authentication, as a scraper and as a stranger meet it.

import { readdirSync } from 'node:fs'
import { Agent, type RequestOptions, request } from 'node:https'
import { text } from 'node:stream/consumers'
import type { TLSSocket } from 'node:tls'
import { hashSync } from 'bcryptjs'
import { afterEach, describe, expect, test } from 'vitest'
import { findFreePort } from '../support/program/free-port.ts'
import { endLimitMs, type Program, waitFor, withProgram } from '../support/program/program.ts'
import { createTestAuthority } from '../support/program/test-certificates.ts'
import { createWebConfigFolder, type WebConfigFolder } from '../web/protection/web-config-folder.ts'

const authority = createTestAuthority()
const certificate = authority.issue(['127.0.0.1'])
const scraper = authority.issue(['prometheus.example'])
const password = 'open sesame'
const hash = hashSync(password, 10)
const tls = 'tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n'
const folders: WebConfigFolder[] = []

afterEach(() => {
  for (const folder of folders.splice(0)) folder.remove()
})

function createFolder(webConfig: string): WebConfigFolder {
  const files = { 'tls.crt': certificate.cert, 'tls.key': certificate.key, 'ca.crt': authority.ca }
  const folder = createWebConfigFolder({ ...files, 'web.yml': webConfig })
  folders.push(folder)
  return folder
}

/** As a scraper asks: the server must have a certificate of the authority. */
async function ask(port: number, path: string, options: RequestOptions = {}) {
  return await new Promise<{ status: number; body: string; serial: string; tookMs: number }>(
    (resolve, reject) => {
      const startMs = performance.now()
      const asked = request(
        { host: '127.0.0.1', port, path, ca: authority.ca, agent: false, ...options },
        (response) => {
          const serial = (response.socket as TLSSocket).getPeerCertificate().serialNumber
          text(response).then((body) => {
            const tookMs = performance.now() - startMs
            resolve({ status: response.statusCode ?? 0, body, serial, tookMs })
          }, reject)
        },
      )
      asked.on('error', reject).end()
    },
  )
}

const args = (port: number, folder: WebConfigFolder) => [
  `--web.listen-address=127.0.0.1:${port}`,
  `--web.config.file=${folder.path}`,
  '--log.level=debug',
]

async function ready(port: number, options: RequestOptions): Promise<void> {
  await waitFor(async () => (await ask(port, '/-/ready', options)).status === 200 || undefined)
}

function expectNoSecret(program: Program): void {
  for (const secret of [password, 'guess', hash.slice(7, 30), 'BEGIN', 'PRIVATE KEY']) {
    expect(program.stderr() + program.stdout()).not.toContain(secret)
  }
}

function threads(pid: number | undefined): number {
  return readdirSync(`/proc/${pid}/task`).length
}

const medianOf = (times: readonly number[]) =>
  times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0

describe('--web.config.file', () => {
  test('serves over TLS to who has the password, and to nobody else', async () => {
    const port = await findFreePort()
    const folder = createFolder(`${tls}basic_auth_users:\n  alice: ${hash}\n`)
    await withProgram(args(port, folder), async (program) => {
      const auth = `alice:${password}`
      await ready(port, { auth })
      const { status, body } = await ask(port, '/metrics', { auth })
      expect(status).toBe(200)
      expect(body).toMatch(/^ephemeral_port_netns_success\{netns="(host|self)"\} 1$/m)
      for (const path of ['/metrics', '/', '/-/healthy', '/-/ready', '/api/v1/snapshot']) {
        expect((await ask(port, path)).status).toBe(401)
        expect((await ask(port, path, { auth })).status).toBe(200)
      }
      expect((await ask(port, '/metrics', { auth: 'alice:guess' })).status).toBe(401)
      expect((await ask(port, '/metrics', { auth: `bob:${password}` })).status).toBe(401)
      // The sentence about plain HTTP, or nothing at all.
      const plain = await fetch(`http://127.0.0.1:${port}/metrics`).then(
        ({ status }) => status,
        () => undefined,
      )
      expect([400, undefined]).toContain(plain)
      await expect(ask(port, '/metrics', { auth, ca: scraper.cert })).rejects.toThrow()
      expectNoSecret(program)
    })
  })

  test('answers an admitted scraper at once while passwords are compared, and keeps no thread for it', async (ctx) => {
    if (process.platform !== 'linux') ctx.skip('counts threads in /proc')
    const port = await findFreePort()
    const folder = createFolder(
      `basic_auth_users:\n  alice: ${hash}\n  bob: ${hashSync('b', 13)}\n`,
    )
    await withProgram(args(port, folder), async (program) => {
      const get = async (auth: string) => {
        const startMs = performance.now()
        const authorization = `Basic ${Buffer.from(auth).toString('base64')}`
        const response = await fetch(`http://127.0.0.1:${port}/-/healthy`, {
          headers: { authorization },
        })
        await response.text()
        return { status: response.status, tookMs: performance.now() - startMs }
      }
      await waitFor(async () => (await get(`alice:${password}`)).status === 200 || undefined)
      const measureAlone = async () => {
        const alone: number[] = []
        while (alone.length < 21) alone.push((await get(`alice:${password}`)).tookMs)
        return medianOf(alone)
      }
      const aloneBefore = await measureAlone()
      // A hash of cost 13 takes most of a second; on the main thread it would hold up everybody for 100 ms at a time.
      const guess = get('bob:guess')
      const times: number[] = []
      let guessing = true
      void guess.then(() => {
        guessing = false
      })
      let most = 0
      while (guessing) {
        most = Math.max(most, threads(program.child.pid))
        const { status, tookMs } = await get(`alice:${password}`)
        expect(status).toBe(200)
        times.push(tookMs)
      }
      expect((await guess).status).toBe(401)
      expect((await guess).tookMs).toBeGreaterThan(200)
      expect(times.length).toBeGreaterThan(20)
      await waitFor(async () => threads(program.child.pid) < most || undefined)
      // Others may keep the machine busy, before as well as meanwhile.
      const alone = Math.max(aloneBefore, await measureAlone())
      expect(medianOf(times)).toBeLessThan(Math.max(50, 4 * alone))
      expect(program.stderr()).toContain('Passwords are sent in the clear')
      expectNoSecret(program)
    })
  })

  test('takes over a renewed certificate without a restart, and outlives a broken one', async () => {
    const port = await findFreePort()
    const folder = createFolder(tls)
    await withProgram(args(port, folder), async (program) => {
      await ready(port, {})
      const { serial } = await ask(port, '/metrics')
      folder.write('tls.crt', 'broken')
      await waitFor(async () => {
        expect((await ask(port, '/metrics')).serial).toBe(serial)
        return program.stderr().includes('cannot be used') || undefined
      })
      const renewed = authority.issue(['127.0.0.1'])
      folder.write('tls.key', renewed.key)
      folder.write('tls.crt', renewed.cert)
      await waitFor(async () => (await ask(port, '/metrics')).serial !== serial || undefined)
      expect(program.stderr()).toContain('Took over the changed web configuration')
      expect(program.stderr().match(/level=warn msg="The changed web/g)).toHaveLength(1)
      expectNoSecret(program)
    })
  })

  test('asks for certificates of clients', async () => {
    const port = await findFreePort()
    const folder = createFolder(
      `${tls}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  client_allowed_sans: [prometheus.example]\n`,
    )
    await withProgram(args(port, folder), async () => {
      await ready(port, scraper)
      await expect(ask(port, '/metrics')).rejects.toThrow()
      await expect(ask(port, '/metrics', certificate)).rejects.toThrow()
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      for (let i = 0; i < 3; i++) {
        expect((await ask(port, '/metrics', { ...scraper, agent })).status).toBe(200)
      }
      agent.destroy()
    })
  })

  test.each([
    ['', 'from the exporter at 127.0.0.1:PORT'],
    [
      'basic_auth_users:\n  alice: HASH\n',
      'sampled by this command, since the exporter at 127.0.0.1:PORT asks for a password',
    ],
    [
      '  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n',
      'sampled by this command, since the exporter at 127.0.0.1:PORT lets in no client without a certificate',
    ],
  ])('has status ask by TLS, and say why where it may not (%j)', async (text, origin) => {
    const port = await findFreePort()
    const folder = createFolder(tls + text.replace('HASH', hash))
    const auth = `alice:${password}`
    await withProgram(args(port, folder), async () => {
      await ready(port, { auth, ...scraper })
      const address = `--web.listen-address=127.0.0.1:${port}`
      const run = (...more: readonly string[]) =>
        withProgram([...more, address], async (program) => {
          await program.ended()
          return { lines: program.stdout().split('\n'), stderr: program.stderr() }
        })
      const said = origin.replace('PORT', String(port))
      const { lines, stderr } = await run('status')
      expect(lines.slice(1).join(' ')).toContain(`Z, ${said}`)
      expect(stderr).toBe('')
      // What prints no such line complains.
      const [, why] = said.split(', since ')
      const complaint =
        why === undefined ? '' : `ephemeral-port-exporter: Sampling by itself, since ${why}\n`
      expect((await run('status', '--json')).stderr).toBe(complaint)
    })
  })

  test('ends within two seconds on SIGTERM with TLS connections open', async () => {
    const port = await findFreePort()
    await withProgram(args(port, createFolder(tls)), async (program) => {
      const agent = new Agent({ keepAlive: true })
      const limitMs = await endLimitMs(() => ready(port, { agent }))
      program.child.kill('SIGTERM')
      const { status, afterMs } = await program.ended()
      agent.destroy()
      expect(status).toBe(0)
      expect(afterMs).toBeLessThan(limitMs)
    })
  })

  test('reports every mistake at once, before listening, with exit status 2', async () => {
    const port = await findFreePort()
    const folder = createFolder(
      `tls_server_config: {cert_file: gone, min_version: SSL30}\nbasic_auth_users: {alice: ${password}}\n`,
    )
    await withProgram(args(port, folder), async (program) => {
      const { status } = await program.ended()
      expect(status).toBe(2)
      const lines = program.stderr().trim().split('\n')
      expect(lines).toHaveLength(3)
      for (const line of lines) expect(line).toMatch(/^ephemeral-port-exporter: (Cannot|Missing) /)
      expectNoSecret(program)
    })
  })
})
