// Connections by chance, port by port: what holds the ports of a small range at each sample, for tests of the whole model.

import { createRandom } from '../bench/forecast/random.ts'
import type { Hold } from './step-play.ts'

export interface Traffic {
  readonly ports: number
  readonly destinations: number
  /** Connections per second to each of them. */
  readonly rate: (atSeconds: number) => number
  /** How long the peer waits after our close: FIN_WAIT2 without owner, before TIME_WAIT begins. */
  readonly peerSeconds?: number
}

const TIME_WAIT_SECONDS = 60
const TICK_SECONDS = 0.1

interface Connection {
  readonly port: number
  readonly closesAt: number
}

/** Ends when a connection finds no port. Each is held for a second on average; destinations choose from the whole range. */
export function* connectByChance(
  { ports, destinations, rate, peerSeconds = 0 }: Traffic,
  moments: readonly number[],
): Generator<readonly [atSeconds: number, holds: readonly Hold[]]> {
  const random = createRandom(`${ports} ${destinations} ${peerSeconds}`)
  const free = Array.from({ length: destinations }, () => listPorts(ports))
  const connections: Connection[][] = free.map(() => [])
  const endsAt = ({ closesAt }: Connection) => closesAt + peerSeconds + TIME_WAIT_SECONDS
  let at = 0
  for (const moment of moments) {
    for (; at <= moment; at += TICK_SECONDS) {
      for (const [to, open] of connections.entries()) {
        const mine = free[to] ?? []
        connections[to] = open.filter((one) => {
          if (endsAt(one) > at) return true
          mine.push(one.port)
          return false
        })
        const rateNow = rate(at)
        const most = TICK_SECONDS * rateNow
        for (let due = random.exponential(1); due < most; due += random.exponential(1)) {
          const port = mine.splice(Math.floor(random.next() * mine.length), 1)[0]
          if (port === undefined) return
          connections[to]?.push({ port, closesAt: at + random.exponential(1) })
        }
      }
    }
    const now = at
    yield [
      moment,
      connections.flatMap((open, to) =>
        open.map((one): Hold => {
          const { port, closesAt } = one
          if (closesAt > now) return { port, to, state: 'established' }
          return closesAt + peerSeconds > now
            ? { port, to, state: 'finWait2', expiresMs: (closesAt + 60 - now) * 1000 }
            : { port, to, state: 'timeWait', expiresMs: (endsAt(one) - now) * 1000 }
        }),
      ),
    ]
  }
}

function listPorts(ports: number): number[] {
  return Array.from({ length: ports }, (_, port) => port)
}
