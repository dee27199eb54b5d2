// A process that only holds sockets: an order -> sockets in the network namespace it was started in. It ends with its parent.
// One process may not open 100,000 descriptors, so that crowd.ts starts several, as `node --import tsx test/bench/cost/holder.ts`.

import { AF, check, type Endpoint, familyOf, openLibc, SOCK } from '../../support/kernel/libc.ts'

export type Order =
  /** The server side stays in the listener's queue: accepted by the kernel, and no descriptor of ours. */
  | { readonly kind: 'listen'; readonly at: Endpoint; readonly backlog: number }
  | { readonly kind: 'connect'; readonly to: Endpoint; readonly count: number }
  /** Ends so many connections to each destination without a trace, and opens as many new ones. */
  | { readonly kind: 'churn'; readonly count: number }
  /** The kernel chooses the ports, or they are counted up from `firstPort`. */
  | {
      readonly kind: 'bind'
      readonly protocol: 'tcp' | 'udp'
      readonly firstPort: number | undefined
      readonly count: number
    }

export interface Obeyed {
  /** Why an order was not carried out. */
  readonly failure?: string
}

/** A handshake on loopback takes microseconds; whoever waits this long waits in vain. */
const TIMEOUT_SECONDS = 3n

const libc = openLibc()
const connections: { readonly to: Endpoint; readonly fds: number[] }[] = []

function obey(order: Order): void {
  switch (order.kind) {
    case 'listen': {
      const fd = openSocket(familyOf(order.at.address), SOCK.stream)
      check(`bind to port ${order.at.port}`, libc.bind(fd, order.at))
      check(`listen on port ${order.at.port}`, libc.listen(fd, order.backlog))
      return
    }
    case 'connect': {
      const fds = Array.from({ length: order.count }, () => connect(order.to))
      connections.push({ to: order.to, fds })
      return
    }
    case 'churn':
      for (const { to, fds } of connections) {
        for (const fd of fds.splice(0, order.count)) {
          check('ask for a reset', libc.setOption(fd, 'linger', Int32Array.of(1, 0)))
          check('close a connection', libc.close(fd))
          fds.push(connect(to))
        }
      }
      return
    case 'bind':
      for (let index = 0; index < order.count; index++) {
        const fd = openSocket(AF.inet, order.protocol === 'tcp' ? SOCK.stream : SOCK.datagram)
        const port = order.firstPort === undefined ? 0 : order.firstPort + index
        check(`bind to port ${port}`, libc.bind(fd, { address: '127.0.0.1', port }))
      }
  }
}

function connect(to: Endpoint): number {
  const fd = openSocket(familyOf(to.address), SOCK.stream)
  const timeout = BigInt64Array.of(TIMEOUT_SECONDS, 0n)
  check('limit connect()', libc.setOption(fd, 'sendTimeout', timeout))
  check(`connect to port ${to.port}`, libc.connect(fd, to))
  return fd
}

function openSocket(family: number, type: number): number {
  return check('open a socket', libc.socket(family, type | SOCK.closeOnExec, 0))
}

process.on('disconnect', () => process.exit())
process.on('message', (order: Order) => {
  let reply: Obeyed = {}
  try {
    obey(order)
  } catch (error) {
    reply = { failure: error instanceof Error ? error.message : String(error) }
  }
  process.send?.(reply)
})
