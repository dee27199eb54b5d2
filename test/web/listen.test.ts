import { EventEmitter, once } from 'node:events'
import { Agent, get, type IncomingMessage, Server, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  type ListenAddress,
  ListenError,
  type RunningServer,
  startServer,
} from '../../src/web/listen.ts'
import { findFreePort } from '../support/program/free-port.ts'
import { holdClosingClock } from './protection/closing-clock.ts'

const running: RunningServer[] = []
const hasIpv6 = networkInterfaces().lo?.some(({ family }) => family === 'IPv6') ?? false

afterEach(async () => {
  vi.useRealTimers()
  vi.restoreAllMocks()
  for (const server of running.splice(0)) await server.close()
})

function answerOk(_request: unknown, response: { end: (text: string) => void }): void {
  response.end('ok')
}

async function start(
  addresses: readonly ListenAddress[],
  app: Parameters<typeof startServer>[0] = answerOk,
): Promise<RunningServer> {
  const server = await startServer(app, addresses)
  running.push(server)
  return server
}

function at(host: string | undefined, port = 0): ListenAddress {
  return { host, port, text: `${host ?? ''}:${port}` }
}

function portOf(server: RunningServer, index = 0): number {
  return server.addresses[index]?.port ?? Number.NaN
}

async function fetchText(host: string, port: number, agent?: Agent): Promise<string> {
  const asked = get({ host, port, agent })
  const [answer]: IncomingMessage[] = await once(asked, 'response')
  if (answer === undefined) throw new Error('No answer')
  return text(answer)
}

/** Lets listen() fail with `code` for one host. */
function failListenOn(host: string, code: string): void {
  const real = Server.prototype.listen
  vi.spyOn(Server.prototype, 'listen').mockImplementation(function (this: Server, ...given) {
    const [options] = given as unknown[] as [{ host: string }]
    if (options.host !== host) return real.apply(this, given as never)
    const error = Object.assign(new Error(`listen ${code}: ${host}`), { code })
    process.nextTick(() => this.emit('error', error))
    return this
  })
}

describe('startServer()', () => {
  test('startServer() listens on each address and says on which ports', async () => {
    const server = await start([at('127.0.0.1'), at('127.0.0.1')])
    expect(server.addresses.map(({ host }) => host)).toEqual(['127.0.0.1', '127.0.0.1'])
    expect(portOf(server, 0)).not.toBe(portOf(server, 1))
    expect(await fetchText('127.0.0.1', portOf(server, 0))).toBe('ok')
    expect(await fetchText('127.0.0.1', portOf(server, 1))).toBe('ok')
  })

  test.skipIf(!hasIpv6)('startServer() without a host answers IPv4 and IPv6', async () => {
    const server = await start([at(undefined)])
    expect(server.addresses[0]?.host).toBe('::')
    expect(await fetchText('127.0.0.1', portOf(server))).toBe('ok')
    expect(await fetchText('::1', portOf(server))).toBe('ok')
  })

  test.each(['EAFNOSUPPORT', 'EADDRNOTAVAIL'])(
    'startServer() without a host answers IPv4 alone where :: gives %s',
    async (code) => {
      failListenOn('::', code)
      const server = await start([at(undefined)])
      expect(server.addresses[0]?.host).toBe('0.0.0.0')
      expect(await fetchText('127.0.0.1', portOf(server))).toBe('ok')
    },
  )

  test.skipIf(!hasIpv6)(
    'startServer() does not fall back to IPv4 when the port of :: is in use',
    async () => {
      const first = await start([at('::')])
      const address = at(undefined, portOf(first))
      await expect(startServer(answerOk, [address])).rejects.toThrow(
        new ListenError(`Cannot listen on ${address.text}: the port is already in use`),
      )
    },
  )

  test('startServer() listens on none of the addresses when one fails', async () => {
    const taken = await start([at('127.0.0.1')])
    const port = await findFreePort()
    await expect(
      startServer(answerOk, [at('127.0.0.1', port), at('127.0.0.1', portOf(taken))]),
    ).rejects.toThrow(`Cannot listen on 127.0.0.1:${portOf(taken)}: the port is already in use`)
    const again = await start([at('127.0.0.1', port)]) // the first one has been given back
    expect(portOf(again)).toBe(port)
  })

  test('startServer() says that an address is not of this host', async () => {
    await expect(startServer(answerOk, [at('192.0.2.1', 10_132)])).rejects.toThrow(
      new ListenError('Cannot listen on 192.0.2.1:10132: this host has no such address'),
    )
  })

  test.each([
    ['EACCES', 80, 'permission denied (ports below 1024 need CAP_NET_BIND_SERVICE)'],
    ['EACCES', 10_132, 'permission denied'],
    ['ENOTFOUND', 80, 'the name is not known'],
    ['EAI_AGAIN', 80, 'the name cannot be resolved now'],
    ['EMFILE', 80, 'listen EMFILE: example.org'],
  ])('startServer() explains %s at port %d', async (code, port, reason) => {
    failListenOn('example.org', code)
    const failed = startServer(answerOk, [at('example.org', port)])
    await expect(failed).rejects.toThrow(
      new ListenError(`Cannot listen on example.org:${port}: ${reason}`),
    )
    await expect(failed).rejects.toHaveProperty('cause.code', code)
  })

  test('startServer() survives and reports errors after the start', async () => {
    const listen = vi.spyOn(Server.prototype, 'listen')
    const seen: unknown[] = []
    running.push(
      await startServer(answerOk, [at('127.0.0.1')], { onError: (error) => seen.push(error) }),
    )
    const failure = new Error('accept EMFILE')
    const [server] = listen.mock.contexts as readonly Server[]
    server?.emit('error', failure)
    expect(seen).toEqual([failure])
  })

  test('startServer() keeps a connection open for the next scrape', async () => {
    const server = await start([at('127.0.0.1')])
    const socket = connect(portOf(server), '127.0.0.1')
    const answers: string[] = []
    socket.on('data', (chunk) => answers.push(chunk.toString()))
    for (const number of [1, 2]) {
      socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
      await expect
        .poll(() => answers.join('').match(/200 OK/g), { timeout: 120_000 })
        .toHaveLength(number)
    }
    expect(answers.join('')).toContain('Keep-Alive: timeout=75')
    socket.destroy()
  })
})

describe('close()', () => {
  async function openSocket(server: RunningServer, bytes: string): Promise<Socket> {
    const socket = connect(portOf(server), '127.0.0.1')
    socket.on('error', () => {}) // a reset is what may happen to it
    await once(socket, 'connect')
    socket.write(bytes)
    return socket
  }

  // Done at 400 ms of its clock is done without the grace of 500 ms, which the last of these tests is about.

  test('close() is done at once with idle keep-alive connections, and refuses new ones', async () => {
    const server = await start([at('127.0.0.1')])
    const agent = new Agent({ keepAlive: true })
    expect(await fetchText('127.0.0.1', portOf(server), agent)).toBe('ok')
    const pass = holdClosingClock()
    const closed = server.close()
    await pass(400)
    await closed
    await expect(fetchText('127.0.0.1', portOf(server))).rejects.toThrow('ECONNREFUSED')
    agent.destroy()
  })

  test('close() lets a request under way end, and is done then', async () => {
    const requests = new EventEmitter()
    const server = await start([at('127.0.0.1')], (_request, response) => {
      requests.emit('arrived', response)
    })
    const arrived = once(requests, 'arrived')
    const agent = new Agent({ keepAlive: true })
    const answer = fetchText('127.0.0.1', portOf(server), agent)
    const [response]: ServerResponse[] = await arrived
    const pass = holdClosingClock()
    const closed = server.close()
    await pass(150)
    response?.end('late')
    expect(await answer).toBe('late')
    await pass(250)
    await closed
    agent.destroy()
  })

  test('close() cuts what takes longer than its grace: no answer, half a request, silence', async () => {
    const listen = vi.spyOn(Server.prototype, 'listen')
    const server = await start([at('127.0.0.1')], () => {})
    const accepted: Socket[] = []
    const [listening] = listen.mock.contexts as readonly Server[]
    listening?.on('connection', (socket: Socket) => accepted.push(socket))
    const requests = ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'GET / HTTP/1.1\r\nHo', '']
    const sockets = await Promise.all(requests.map((bytes) => openSocket(server, bytes)))
    await expect
      .poll(() => accepted.map(({ bytesRead }) => bytesRead).sort(), { timeout: 120_000 })
      .toEqual(requests.map(({ length }) => length).sort())
    const ends = Promise.all(sockets.map((socket) => once(socket, 'close')))
    const pass = holdClosingClock()
    let isClosed = false
    const closed = server.close().then(() => {
      isClosed = true
    })
    await pass(400)
    expect(isClosed).toBe(false)
    await pass(600)
    await closed
    await ends
  })

  test('close() may be asked for twice', async () => {
    const server = await start([at('127.0.0.1')])
    await Promise.all([server.close(), server.close()])
    await server.close()
  })
})
