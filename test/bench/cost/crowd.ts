// The crowd: how many sockets -> that many, for real, in the benchmark's own network namespace. It grows in steps, so that one
// run measures a busy host and a crowded one.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Endpoint } from '../../support/kernel/libc.ts'
import { type Children, startScript, withDeadline } from './children.ts'
import type { Obeyed, Order } from './holder.ts'

export const DESTINATIONS = 20
/** One destination in so many is an IPv6 one. */
const IPV6_SHARE = 5
const HOLDERS = 10
/** Outside the ephemeral range, as servers' ports should be. */
const FIRST_SERVER_PORT = 8000
const BACKLOG = 65_535
const ORDER_MS = 60_000
/** Connections of a destination that end between two samples. */
const CHURN = 10

/** Idle sockets, so that no dump of a sample is empty. The chosen ports come first, before somebody is given one. */
const idleSockets: readonly Extract<Order, { kind: 'bind' }>[] = [
  { kind: 'bind', protocol: 'tcp', firstPort: 60_000, count: 100 },
  { kind: 'bind', protocol: 'udp', firstPort: 60_000, count: 100 },
  { kind: 'bind', protocol: 'tcp', firstPort: undefined, count: 200 },
  { kind: 'bind', protocol: 'udp', firstPort: undefined, count: 200 },
]

export interface Crowd {
  /** UDP sockets in the range. */
  readonly udp: number
  /** Connections that are open, each with an end that a server holds. */
  connections(): number
  /** Opens connections until `tcp` TCP sockets hold ports of the range. */
  grow(tcp: number): Promise<void>
  /** Replaces some connections of each destination by new ones, so that there is something to forecast. */
  churn(): Promise<void>
}

/** Starts the holders and the servers they will connect to, and opens the idle sockets. */
export async function openCrowd(children: Children): Promise<Crowd> {
  const holders = Array.from({ length: HOLDERS }, () => startScript(children, 'holder.ts'))
  const servers = Array.from({ length: DESTINATIONS }, (_, index): Endpoint => {
    const address = index % IPV6_SHARE === 0 ? 'fd00::1' : `127.0.1.${index}`
    return { address, port: FIRST_SERVER_PORT + index }
  })
  const command = (index: number, order: Order) =>
    send(holders[index % HOLDERS] as ChildProcess, order)
  for (const [index, at] of servers.entries()) {
    await command(index, { kind: 'listen', at, backlog: BACKLOG })
  }
  for (const [index, order] of idleSockets.entries()) await command(index, order)
  const idle = (protocol: string) =>
    idleSockets.reduce((sum, order) => sum + (order.protocol === protocol ? order.count : 0), 0)

  let opened = idle('tcp')
  return {
    udp: idle('udp'),
    connections: () => opened - idle('tcp'),
    async grow(tcp) {
      const missing = tcp - opened
      const upTo = (index: number) => Math.floor((missing * index) / DESTINATIONS)
      const connect = async (position: number) => {
        for (const [index, to] of servers.entries()) {
          if (index % HOLDERS !== position) continue
          await command(index, { kind: 'connect', to, count: upTo(index + 1) - upTo(index) })
        }
      }
      await Promise.all(holders.map((_, position) => connect(position)))
      opened = tcp
    },
    async churn() {
      await Promise.all(holders.map((holder) => send(holder, { kind: 'churn', count: CHURN })))
    },
  }
}

async function send(holder: ChildProcess, order: Order): Promise<void> {
  const waiting = new AbortController()
  const answers = ['message', 'exit'].map((event) => once(holder, event, waiting))
  try {
    holder.send(order)
    const [answer] = await withDeadline(Promise.race(answers), ORDER_MS, 'Opening sockets')
    const ended = typeof answer !== 'object' || answer === null
    const { failure }: Obeyed = ended ? { failure: 'the process that holds them ended' } : answer
    if (failure !== undefined) throw new Error(`Cannot open sockets: ${failure}`)
  } finally {
    waiting.abort()
  }
}
