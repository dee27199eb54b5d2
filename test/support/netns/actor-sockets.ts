// The sockets an actor holds: opened, accepted, closed and counted on request. Runs inside the actor's process.
// Every call is bounded: blocking sockets carry timeouts.

import {
  check,
  type Endpoint,
  errnoName,
  familyOf,
  type Libc,
  type OptionName,
  SOCK,
} from '../kernel/libc.ts'

const TIMEOUT_SECONDS = 3n
const IPPROTO_MPTCP = 262

export interface OpenRequest {
  /** Default tcp. */
  readonly protocol?: 'tcp' | 'udp' | 'mptcp'
  readonly bind?: Endpoint | undefined
  readonly connect?: Endpoint | undefined
  /** The backlog. */
  readonly listen?: number
  /** Default 1. */
  readonly count?: number
  readonly reuseAddress?: boolean
  readonly reusePort?: boolean
  readonly ipv6Only?: boolean
  /** IP_TRANSPARENT: a listener that takes connections to other addresses and ports. */
  readonly transparent?: boolean
  /** IP_BIND_ADDRESS_NO_PORT: bind() chooses the source address only, connect() the port. */
  readonly bindAddressNoPort?: boolean | undefined
  readonly device?: string | undefined
  readonly localPortRange?: { readonly first: number; readonly last: number }
  /** TCP_DEFER_ACCEPT: a client that sends nothing stays in SYN_RECV at the listener for that long. */
  readonly deferAcceptSeconds?: number
  /** A connect() that stays in SYN_SENT counts as opened. */
  readonly nonBlocking?: boolean | undefined
}

export interface Opened {
  /** Names of the sockets within the actor. */
  readonly sockets: readonly number[]
  /** The local address of each; port 0 where it has none yet. */
  readonly locals: readonly Endpoint[]
  /** Why fewer than asked for were opened: the errno of connect(), bind() or listen(). */
  readonly refusal: string | undefined
}

export interface Filled {
  readonly count: number
  readonly refusal: string | undefined
}

export function createSocketOperations(libc: Libc) {
  // Connections accepted while looking for another: by listener, then by peer.
  const waiting = new Map<number, Map<string, number>>()

  function openOne(request: OpenRequest): { readonly fd: number; readonly refusal?: string } {
    const { protocol = 'tcp', bind, connect, listen } = request
    const address = connect?.address ?? bind?.address
    if (address === undefined) throw new Error('Cannot open a socket without an address')
    const type = protocol === 'udp' ? SOCK.datagram : SOCK.stream
    const number = protocol === 'mptcp' ? IPPROTO_MPTCP : 0
    const mode = SOCK.closeOnExec | (request.nonBlocking === true ? SOCK.nonBlocking : 0)
    const fd = check('open a socket', libc.socket(familyOf(address), type | mode, number))
    const steps: (() => number)[] = []
    if (bind !== undefined) steps.push(() => libc.bind(fd, bind))
    if (connect !== undefined) steps.push(() => libc.connect(fd, connect))
    if (listen !== undefined) steps.push(() => libc.listen(fd, listen))
    try {
      setOptions(fd, request)
      for (const step of steps) {
        const result = step()
        if (result >= 0) continue
        const refusal = errnoName(result)
        if (refusal === 'EINPROGRESS' && request.nonBlocking === true) continue
        libc.close(fd)
        return { fd: -1, refusal }
      }
    } catch (error) {
      libc.close(fd)
      throw error
    }
    return { fd }
  }

  function setOptions(fd: number, request: OpenRequest): void {
    const set = (name: OptionName, value: ArrayBufferView) =>
      check(`set ${name} on a socket`, libc.setOption(fd, name, value))
    if (request.nonBlocking !== true) {
      set('sendTimeout', BigInt64Array.of(TIMEOUT_SECONDS, 0n))
      set('receiveTimeout', BigInt64Array.of(TIMEOUT_SECONDS, 0n))
    }
    if (request.reuseAddress === true) set('reuseAddress', Int32Array.of(1))
    if (request.reusePort === true) set('reusePort', Int32Array.of(1))
    if (request.transparent === true) set('transparent', Int32Array.of(1))
    if (request.ipv6Only !== undefined) set('ipv6Only', Int32Array.of(request.ipv6Only ? 1 : 0))
    if (request.bindAddressNoPort === true) set('bindAddressNoPort', Int32Array.of(1))
    if (request.device !== undefined) set('bindToDevice', Buffer.from(`${request.device}\0`))
    if (request.deferAcceptSeconds !== undefined) {
      set('deferAccept', Int32Array.of(request.deferAcceptSeconds))
    }
    if (request.localPortRange !== undefined) {
      const { first, last } = request.localPortRange
      set('localPortRange', Uint32Array.of(last * 0x1_0000 + first))
    }
  }

  function openMany(request: OpenRequest, count: number): { fds: number[]; refusal?: string } {
    const fds: number[] = []
    while (fds.length < count) {
      const { fd, refusal } = openOne(request)
      if (refusal !== undefined) return { fds, refusal }
      fds.push(fd)
    }
    return { fds }
  }

  function closeOne(fd: number, how: 'fin' | 'rst'): void {
    if (how === 'rst') libc.setOption(fd, 'linger', Int32Array.of(1, 0))
    libc.close(fd)
    waiting.delete(fd)
  }

  return {
    /** Opens as many sockets as asked for, or as the kernel grants. */
    open(request: OpenRequest): Opened {
      const { fds, refusal } = openMany(request, request.count ?? 1)
      return { sockets: fds, locals: fds.map((fd) => libc.localEndpoint(fd)), refusal }
    },

    /**
     * Opens until the kernel refuses `refusals` times, default 1, then closes all of them with RST, so that nothing
     * remains: what is counted is the truth about the pool.
     */
    fill(request: OpenRequest & { readonly limit?: number; readonly refusals?: number }): Filled {
      const { limit = 70_000, refusals = 1 } = request
      const fds: number[] = []
      let refusal: string | undefined
      try {
        for (let seen = 0; seen < refusals && fds.length < limit; seen++) {
          const some = openMany(request, limit - fds.length)
          for (const fd of some.fds) fds.push(fd)
          refusal = some.refusal
          if (refusal === 'EINPROGRESS')
            throw new Error('Cannot fill the pool: connect() timed out')
        }
      } finally {
        for (const fd of fds) closeOne(fd, 'rst')
      }
      return { count: fds.length, refusal }
    },

    /** The server side of connections, by the clients' local addresses, in that order. */
    accept(request: { readonly listener: number; readonly peers: readonly Endpoint[] }): number[] {
      const { listener } = request
      const known = waiting.get(listener) ?? new Map<string, number>()
      waiting.set(listener, known)
      return request.peers.map((wanted) => {
        const name = foldedName(wanted)
        while (!known.has(name)) {
          const { fd, peer } = libc.accept(listener)
          check(`accept a connection from ${name}`, fd)
          if (peer !== undefined) known.set(foldedName(peer), fd)
        }
        const fd = known.get(name) ?? -1
        known.delete(name)
        return fd
      })
    },

    /** 'fin' closes in order: whoever does it first gets the TIME_WAIT. 'rst' leaves nothing behind. */
    close(request: { readonly sockets: readonly number[]; readonly how?: 'fin' | 'rst' }): void {
      for (const fd of request.sockets) closeOne(fd, request.how ?? 'fin')
    },

    /** Sends until the kernel takes no more, so that a FIN has to wait; for non-blocking sockets whose peer does not read. */
    stuff(request: { readonly sockets: readonly number[] }): void {
      const bytes = new Uint8Array(65_536)
      for (const fd of request.sockets) {
        let sent = 0
        while (sent >= 0) sent = libc.send(fd, bytes)
        if (errnoName(sent) !== 'EAGAIN') check('fill a send buffer', sent)
      }
    },

    /** Ends one direction and keeps the socket. */
    shutdown(request: { readonly sockets: readonly number[] }): void {
      const SHUT_WR = 1
      for (const fd of request.sockets) check('shut a socket down', libc.shutdown(fd, SHUT_WR))
    },
  }
}

// A v4-mapped client is an IPv4 peer to its server.
function foldedName({ address, port }: Endpoint): string {
  return `${address.replace('::ffff:', '')} ${port}`
}
