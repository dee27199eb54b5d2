// A process in a namespace of the NAT lab: connects, holds, resets and serves what its parent asks for over IPC.
// Started by nat-lab.ts.

import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { setMaxListeners } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

export interface Peer {
  readonly address: string
  readonly port: number
}

export interface Wanted {
  readonly to: Peer
  /** Where each connection comes from. */
  readonly from: readonly Peer[]
  readonly timeoutMs: number
  /** Once so many got through the others have half a second left, so that a busy machine is waited for and an idle one is not. */
  readonly enough?: number
}

/** Datagrams at agreed moments, so that another process sends at the same ones. */
export interface Volley {
  readonly to: Peer
  /** Sends the first; each further one is of the next port and a slot later. */
  readonly from: Peer
  readonly count: number
  /** Of the clock of process.hrtime(), which all processes share. */
  readonly startMs: number
  readonly slotMs: number
}

export type PeerOperations = typeof operations

const held = new Map<number, Socket>()
const datagrams: UdpSocket[] = []
let lastId = 0

/** Longer than an answer takes when others have come already, and shorter than the first retry of a SYN. */
const SETTLE_MS = 500
/** A question is sent again after so long, as resolvers do: a busy machine loses datagrams. */
const RESEND_MS = 1000
/** A timer is that much late on an idle machine. */
const SPIN_MS = 2

/** Tells each try when it is over, and is told when one got through. */
function createDeadline({ timeoutMs, enough = Number.POSITIVE_INFINITY }: Wanted) {
  const abort = new AbortController()
  setMaxListeners(0, abort.signal)
  let through = 0
  // Whoever got through on a machine that stood still is heard first.
  const endAfter = (ms: number) => setTimeout(() => setImmediate(() => abort.abort()), ms)
  endAfter(timeoutMs).unref()
  return {
    over: abort.signal,
    gotThrough() {
      if (++through === enough) endAfter(SETTLE_MS)
    },
  }
}

type Deadline = ReturnType<typeof createDeadline>

function connectOne(from: Peer, to: Peer, deadline: Deadline): Promise<number | undefined> {
  return new Promise((resolve) => {
    const socket = connect({
      host: to.address,
      port: to.port,
      localAddress: from.address,
      localPort: from.port,
    })
    const settle = (id: number | undefined) => {
      deadline.over.removeEventListener('abort', giveUp)
      if (id === undefined) socket.destroy()
      resolve(id)
    }
    const giveUp = () => settle(undefined)
    deadline.over.addEventListener('abort', giveUp)
    socket.on('error', giveUp)
    socket.on('connect', () => {
      held.set(++lastId, socket)
      deadline.gotThrough()
      settle(lastId)
    })
  })
}

function askOne(from: Peer, { to, timeoutMs }: Wanted, deadline: Deadline): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    datagrams.push(socket)
    const send = () => socket.send('q', to.port, to.address)
    // On a machine that stood still both timers are late, and the one that ends this would come second.
    const timer = timeoutMs > RESEND_MS ? setInterval(send, RESEND_MS) : undefined
    const settle = (answered: boolean) => {
      clearInterval(timer)
      resolve(answered)
    }
    deadline.over.addEventListener('abort', () => settle(false))
    socket.on('error', () => settle(false))
    socket.once('close', () => settle(false))
    socket.once('message', () => {
      deadline.gotThrough()
      settle(true)
    })
    socket.bind(from.port, from.address, send)
  })
}

const hrtimeMs = () => Number(process.hrtime.bigint()) / 1e6

function openFlow(from: Peer, to: Peer): Promise<UdpSocket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type: 'udp4', reuseAddr: true })
    socket.on('error', reject)
    socket.bind(from.port, from.address, () =>
      socket.connect(to.port, to.address, () => resolve(socket)),
    )
  })
}

const operations = {
  /** The connections that were established within the time; the others are given up. */
  async connect(wanted: Wanted): Promise<readonly number[]> {
    const deadline = createDeadline(wanted)
    const ids = await Promise.all(wanted.from.map((from) => connectOne(from, wanted.to, deadline)))
    return ids.filter((id) => id !== undefined)
  },
  /** How many of the datagrams were answered. Their sockets stay open. */
  async ask(wanted: Wanted): Promise<number> {
    const deadline = createDeadline(wanted)
    const answered = await Promise.all(wanted.from.map((from) => askOne(from, wanted, deadline)))
    return answered.filter(Boolean).length
  },
  /** A datagram from a port of its own in each slot. What comes too late for its slot is left out. */
  async fire({ to, from, count, startMs, slotMs }: Volley): Promise<void> {
    const sockets = await Promise.all(
      Array.from({ length: count }, (_, at) => openFlow({ ...from, port: from.port + at }, to)),
    )
    for (const [at, socket] of sockets.entries()) {
      const momentMs = startMs + at * slotMs
      await delay(Math.max(0, momentMs - hrtimeMs() - SPIN_MS))
      while (hrtimeMs() < momentMs);
      if (hrtimeMs() < momentMs + slotMs) socket.send('q')
    }
    for (const socket of sockets) socket.close()
  },
  async reset(ids: readonly number[]): Promise<void> {
    for (const id of ids) held.get(id)?.resetAndDestroy()
  },
  async close(ids: readonly number[]): Promise<void> {
    for (const id of ids) held.get(id)?.end()
  },
  /** Ends everything that is held. */
  async drop(): Promise<void> {
    for (const socket of held.values()) socket.resetAndDestroy()
    held.clear()
    for (const socket of datagrams.splice(0)) socket.close()
  },
  /** Accepts connections and answers datagrams. */
  async serve(ports: readonly number[]): Promise<void> {
    for (const port of ports) {
      const server = createServer((socket) => {
        socket.on('error', () => socket.destroy())
        socket.resume()
      })
      const udp = createSocket('udp4')
      udp.on('message', (_bytes, { port: to, address }) => udp.send('a', to, address))
      await new Promise<void>((resolve) => server.listen({ port, backlog: 4096 }, resolve))
      await new Promise<void>((resolve) => udp.bind(port, resolve))
    }
  },
}

process.on('disconnect', () => process.exit())
process.on('message', (call: { id: number; name: keyof PeerOperations; argument: never }) => {
  operations[call.name](call.argument).then(
    (result) => process.send?.({ id: call.id, result }),
    (error) => process.send?.({ id: call.id, failure: String(error) }),
  )
})
process.send?.({ id: 0 })
