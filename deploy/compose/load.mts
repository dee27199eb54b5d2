// The load of the demo: a client that leaks connections to one server until the kernel has no port left for another, keeps
// trying for a while, gives all of them back, rests, and begins again. Client and server are both in here.

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

const perSecond = readNumber('LOAD_CONNECTIONS_PER_SECOND', 1.5)
const holdMs = readNumber('LOAD_HOLD_SECONDS', 180) * 1000
const restMs = readNumber('LOAD_REST_SECONDS', 120) * 1000
const SERVER_PORT = 8001

await serve()
for (;;) await exhaustOnce()

async function exhaustOnce(): Promise<void> {
  const sockets: Socket[] = []
  let holdUntil = Number.POSITIVE_INFINITY
  say(`Opening ${perSecond} connections a second and closing none`)
  while (Date.now() < holdUntil) {
    const opened = await open()
    if (typeof opened !== 'string') sockets.push(opened)
    else if (holdUntil === Number.POSITIVE_INFINITY) {
      holdUntil = Date.now() + holdMs
      say(`${opened} after ${sockets.length} connections: no port is left, trying on`)
    }
    await delay(1000 / perSecond)
  }
  for (const socket of sockets) socket.destroy()
  say(`Closed ${sockets.length} connections`)
  await delay(restMs)
}

/** A connection that nobody closes, or the code of what stood against it. */
function open(): Promise<Socket | string> {
  return new Promise((resolve) => {
    const socket = connect(SERVER_PORT, '127.0.0.1')
    socket.once('connect', () => resolve(socket))
    socket.on('error', (error) => resolve('code' in error ? String(error.code) : error.message))
  })
}

async function serve(): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.resume()
  })
  server.listen(SERVER_PORT, '127.0.0.1', 1000)
  await once(server, 'listening')
}

function readNumber(name: string, fallback: number): number {
  const text = process.env[name]
  const value = text === undefined ? fallback : Number(text)
  if (value > 0) return value
  throw new RangeError(`Cannot use ${name}=${JSON.stringify(text)}, expected a number above 0`)
}

function say(what: string): void {
  console.log(`${new Date().toISOString()} ${what}`)
}
