// The program as its users meet it: started, asked, stopped, and started wrongly.

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { hasReadings, parsePage } from '../support/netns/actor-page.ts'
import { findFreePort } from '../support/program/free-port.ts'
import { endLimitMs, type Program, waitFor, withProgram } from '../support/program/program.ts'

const listen = (port: number) => `--web.listen-address=127.0.0.1:${port}`
const often = (port: number) => [listen(port), '--sample.interval=100ms', '--sample.cpu-budget=1']

/** The page of a program that is ready. After a standstill it has no readings until the next sample. */
async function fetchReady(port: number): Promise<string> {
  return await waitFor(async () => {
    if (!(await fetch(`http://127.0.0.1:${port}/-/ready`)).ok) return undefined
    const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    return hasReadings(parsePage(page)) ? page : undefined
  })
}

/** A connection that stays open after its answer, as a scraper's does. */
async function keepAlive(port: number): Promise<Agent> {
  const agent = new Agent({ keepAlive: true })
  const request = get({ host: '127.0.0.1', port, path: '/-/healthy', agent })
  const [response] = await once(request, 'response')
  response.resume()
  await once(response, 'end')
  return agent
}

const lines = (text: string) => text.split('\n').filter((line) => line !== '')

/** Where they are not possible these have a line to say, which is not the subject here. */
const QUIET = ['--no-collector.failures', '--no-collector.buckets']

describe('serve', () => {
  test('serves metrics of this host, and says nothing more once it runs', async () => {
    const port = await findFreePort()
    await withProgram([...often(port), ...QUIET], async (program) => {
      const page = await fetchReady(port)
      expect(page).toMatch(/^ephemeral_port_usable_ports\{netns="(host|self)"\} \d+$/m)
      expect(page).toMatch(/^ephemeral_port_netns_success\{netns="(host|self)"\} 1$/m)
      const samples = async () => {
        const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
        return Number(/^ephemeral_port_samples_total (\d+)$/m.exec(text)?.[1])
      }
      await waitFor(async () => (await samples()) >= 5 || undefined)
      expect(lines(program.stderr())).toHaveLength(2)
      expect(program.stdout()).toBe('')
    })
  })

  test.each(['SIGTERM', 'SIGINT'] as const)(
    'ends cleanly on %s within two seconds, with connections open and a sample running',
    async (signal) => {
      const port = await findFreePort()
      await withProgram(often(port), async (program) => {
        const limitMs = await endLimitMs(() => fetchReady(port))
        const agent = await keepAlive(port)
        program.child.kill(signal)
        const { status, afterMs } = await program.ended()
        agent.destroy()
        expect(status).toBe(0)
        expect(afterMs).toBeLessThan(limitMs)
      })
    },
  )

  test('ends within two seconds when npm start gets the signal', async () => {
    const port = await findFreePort()
    // Not the build before it, which takes away the program that other tests run.
    const command = ['npm', 'start', '--silent', '--ignore-scripts', '--']
    await withProgram(
      [listen(port)],
      async (program) => {
        const limitMs = await endLimitMs(() => fetchReady(port))
        const agent = await keepAlive(port)
        program.child.kill('SIGTERM')
        const { afterMs } = await program.ended()
        agent.destroy()
        expect(afterMs).toBeLessThan(limitMs)
        await expect(fetch(`http://127.0.0.1:${port}/-/healthy`)).rejects.toThrow()
      },
      { command },
    )
  })

  test('goes on where its log cannot be written', async (ctx) => {
    if (!existsSync('/dev/full')) return ctx.skip('needs /dev/full')
    const port = await findFreePort()
    const command = ['sh', '-c', `exec '${process.execPath}' dist/main.js "$@" 2>/dev/full`, 'sh']
    await withProgram(
      [listen(port)],
      async ({ child }) => {
        expect(await fetchReady(port)).toContain('ephemeral_port_netns_success')
        expect(child.exitCode).toBeNull()
      },
      { command },
    )
  })

  test('logs JSON lines when told to', async () => {
    const port = await findFreePort()
    await withProgram([listen(port), '--log.format=json', ...QUIET], async (program) => {
      await fetchReady(port)
      const records = lines(program.stderr()).map((line) => JSON.parse(line))
      expect(records.map(({ msg }) => msg)).toEqual(['Listening', 'Reading sockets'])
      expect(records[0]).toMatchObject({ level: 'info', addresses: `127.0.0.1:${port}` })
    })
  })
})

describe('a start that cannot work is one clear line and exit status 2', () => {
  const expectRefusal = async (program: Program, message: RegExp) => {
    const { status } = await program.ended()
    expect(lines(program.stderr())).toHaveLength(1)
    expect(program.stderr()).toMatch(message)
    expect(program.stderr()).not.toMatch(/^ {4}at /m)
    expect(status).toBe(2)
  }

  test('port in use', async () => {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    try {
      await withProgram([listen(port)], (program) => expectRefusal(program, /in use/))
    } finally {
      server.close()
    }
  })

  test('bad flag', async () => {
    await withProgram(['--smaple.interval=5s'], (program) =>
      expectRefusal(program, /Unknown flag "--smaple.interval".*--sample.interval/),
    )
  })

  test('privileged port', async (ctx) => {
    if (process.getuid?.() !== 0) ctx.skip('needs root, to run as somebody who is not')
    const { readFileSync } = await import('node:fs')
    const first = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'))
    if (first <= 79) ctx.skip('this host lets everybody listen on low ports')
    // Rights are given up at the last moment, since nobody else may be allowed to read the checkout.
    const giveUp = `import net from 'node:net'
      const { listen } = net.Server.prototype
      net.Server.prototype.listen = function (...all) { process.seteuid(65534); return listen.apply(this, all) }`
    const loader = `data:text/javascript,${encodeURIComponent(giveUp)}`
    await withProgram(
      [listen(79)],
      (program) => expectRefusal(program, /Cannot listen on 127.0.0.1:79: permission denied/),
      { command: [process.execPath, '--import', loader, 'dist/main.js'] },
    )
  })

  test('a source that does not work', async () => {
    const port = await findFreePort()
    await withProgram(
      [listen(port), '--source=procfs', '--path.procfs=/nonexistent', '--log.level=error'],
      (program) => expectRefusal(program, /No source of sockets works here/),
    )
  })

  test('several mistakes are reported at once', async () => {
    await withProgram(['--top=many', listen(99_999)], async (program) => {
      const { status } = await program.ended()
      expect(lines(program.stderr())).toHaveLength(2)
      expect(status).toBe(2)
    })
  })
})

describe('status', () => {
  test('prints tables and exits with how bad it is', async () => {
    await withProgram(['status'], async (program) => {
      const { status } = await program.ended()
      expect(program.stdout()).toMatch(/tcp_connect/)
      expect([0, 1, 2]).toContain(status)
    })
  })

  test('prints what curl gets of the running exporter, but for who tells', async () => {
    const port = await findFreePort()
    // One sample for both.
    await withProgram([listen(port), '--sample.interval=60s'], async () => {
      await fetchReady(port)
      const asked = await fetch(`http://127.0.0.1:${port}/`, { headers: { Accept: '*/*' } })
      expect(asked.headers.get('content-type')).toBe('text/plain; charset=utf-8')
      const page = (await asked.text()).split('\n')
      await withProgram(['status', listen(port)], async (program) => {
        await program.ended()
        const printed = program.stdout().split('\n')
        expect(page[1]).toMatch(/^\S+Z, sampled \d+ s ago$/)
        expect(printed[1]).toBe(`${page[1]?.split(',')[0]}, from the exporter at 127.0.0.1:${port}`)
        expect(printed.toSpliced(1, 1)).toEqual(page.toSpliced(1, 1))
      })
    })
  })

  test('exits with 3 on bad usage', async () => {
    await withProgram(['status', '--nonsense'], async (program) => {
      expect((await program.ended()).status).toBe(3)
    })
  })
})

describe('what cannot be written is an error and no verdict', () => {
  test.each(['status', 'status --watch', 'doctor --json', '--help'])('%s > /dev/full', (line) => {
    if (!existsSync('/dev/full')) return
    const script = `exec '${process.execPath}' dist/main.js ${line} --web.listen-address=127.0.0.1:1`
    const words = line.startsWith('-') ? script.replace(/ --web.*/, '') : script
    const { status, stderr } = spawnSync('sh', ['-c', `${words} > /dev/full`], {
      encoding: 'utf8',
    })
    expect(stderr).toBe(
      'ephemeral-port-exporter: Cannot write: ENOSPC: no space left on device, write\n',
    )
    expect(status).toBe(3)
  })

  test('but a reader of a pipe may leave early', () => {
    const script = `'${process.execPath}' dist/main.js --help | head -n 1`
    const { stdout, stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8' })
    expect([lines(stdout).length, stderr]).toEqual([1, ''])
  })
})
