import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setImmediate as immediate } from 'node:timers/promises'
import { afterEach, expect, test, vi } from 'vitest'
import { type RunningServer, startServer } from '../../src/web/listen.ts'
import { findFreePort } from '../support/program/free-port.ts'
import { holdClosingClock } from './protection/closing-clock.ts'

const running: RunningServer[] = []
const sockets: Socket[] = []

afterEach(async () => {
  vi.useRealTimers()
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const server of running.splice(0)) await server.close()
})

async function start(
  app: RequestListener,
  mostConnections: number,
  answerMs = 60_000,
  host = '127.0.0.1',
): Promise<number> {
  const address = { host, port: 0, text: `${host}:0` }
  const server = await startServer(app, [address], { mostConnections, answerMs })
  running.push(server)
  return server.addresses[0]?.port ?? 0
}

/** One connection of a client at that address of loopback. */
async function open(
  port: number,
  localAddress = '127.0.0.1',
  { host = '127.0.0.1', localPort }: { host?: string; localPort?: number } = {},
): Promise<Socket> {
  const ends = { port, host, localAddress }
  const socket = connect(localPort === undefined ? ends : { ...ends, localPort })
  socket.on('error', () => {})
  sockets.push(socket)
  await once(socket, 'connect')
  return socket
}

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'

async function ask(socket: Socket): Promise<string> {
  socket.write(REQUEST)
  const [chunk] = await once(socket, 'data')
  return String(chunk).split('\r\n')[0] ?? ''
}

const answerOk: RequestListener = (_request, response) => response.end('ok')

test('a client that opens connections without end loses its own, and nobody else one', async () => {
  const port = await start(answerOk, 5)
  const scraper = await open(port, '127.0.0.2')
  expect(await ask(scraper)).toBe('HTTP/1.1 200 OK')
  const greedy: Socket[] = []
  for (let count = 0; count < 20; count++) {
    const socket = await open(port, '127.0.0.3')
    expect(await ask(socket)).toBe('HTTP/1.1 200 OK')
    greedy.push(socket)
  }
  await expect.poll(() => greedy.filter((socket) => socket.destroyed).length).toBe(16)
  expect(greedy.slice(-4).every((socket) => !socket.destroyed)).toBe(true)
  expect(await ask(scraper)).toBe('HTTP/1.1 200 OK')
})

test('nor does one that comes from a single port to many addresses', async (ctx) => {
  // Other systems have one address of loopback.
  if (process.platform !== 'linux') return ctx.skip('needs 127.0.0.0/8')
  const port = await start(answerOk, 5, 60_000, '0.0.0.0')
  const scraper = await open(port, '127.0.0.2')
  expect(await ask(scraper)).toBe('HTTP/1.1 200 OK')
  const localPort = await findFreePort()
  const greedy: Socket[] = []
  for (let count = 1; count <= 20; count++) {
    const socket = await open(port, '127.0.0.1', { host: `127.1.0.${count}`, localPort })
    expect(await ask(socket)).toBe('HTTP/1.1 200 OK')
    greedy.push(socket)
  }
  await expect.poll(() => greedy.filter((socket) => socket.destroyed).length).toBe(16)
  expect(greedy.slice(-4).every((socket) => !socket.destroyed)).toBe(true)
  expect(await ask(scraper)).toBe('HTTP/1.1 200 OK')
})

/** A server for three connections with a request under way, which `end` answers and gives what the client was told. */
async function startAsking() {
  let answer = () => {}
  const port = await start((_request, response) => {
    answer = () => response.end('late')
  }, 3)
  const asking = await open(port)
  asking.write(REQUEST)
  await expect.poll(() => answer.name).toBe('answer')
  const end = () => {
    const said = text(asking)
    answer()
    asking.end()
    return said
  }
  return { port, end }
}

test('what is idle goes before a request under way', async () => {
  const { port, end } = await startAsking()
  const idle = [await open(port), await open(port), await open(port)]
  await expect.poll(() => idle.map((socket) => socket.destroyed)).toEqual([true, false, false])
  expect(await end()).toContain('late')
})

test('many clients with one connection each do not end a request under way', async () => {
  const { port, end } = await startAsking()
  const others: Socket[] = []
  for (let host = 2; host < 12; host++) others.push(await open(port, `127.0.0.${host}`))
  await expect.poll(() => others.filter((socket) => socket.destroyed).length).toBe(8)
  expect(others.slice(-2).map((socket) => socket.destroyed)).toEqual([false, false])
  expect(await end()).toContain('late')
})

test('of requests under way the one that began first is ended', async () => {
  let asked = 0
  const port = await start(() => {
    asked++
  }, 3)
  const all: Socket[] = []
  for (let host = 2; host < 7; host++) {
    const socket = await open(port, `127.0.0.${host}`)
    socket.write(REQUEST)
    all.push(socket)
    await expect.poll(() => asked).toBe(all.length)
  }
  await expect
    .poll(() => all.map((socket) => socket.destroyed))
    .toEqual([true, true, false, false, false])
})

test('an answer that nobody reads is given up with its connection', async () => {
  const page = Buffer.alloc(32 << 20)
  let [asked, closed] = [0, 0]
  const port = await start(
    (_request, response) => {
      if (asked++ > 0) return response.end('ok')
      response.once('close', () => closed++)
      return response.end(page)
    },
    3,
    300,
  )
  const forward = holdClosingClock()
  const deaf = await open(port)
  deaf.pause()
  deaf.write(REQUEST)
  while (asked === 0) await immediate()
  await forward(299)
  expect(closed).toBe(0)
  await forward(1)
  while (closed === 0) await immediate()
  const reader = await open(port)
  expect(await ask(reader)).toBe('HTTP/1.1 200 OK')
  await forward(600)
  expect(await ask(reader)).toBe('HTTP/1.1 200 OK')
})

test('connections that have ended do not count', async () => {
  const port = await start(answerOk, 3)
  for (let round = 0; round < 10; round++) {
    const socket = await open(port)
    expect(await ask(socket)).toBe('HTTP/1.1 200 OK')
    socket.end()
    await once(socket, 'close')
  }
  const last = [await open(port), await open(port), await open(port)]
  for (const socket of last) expect(await ask(socket)).toBe('HTTP/1.1 200 OK')
  expect(last.map((socket) => socket.destroyed)).toEqual([false, false, false])
})
