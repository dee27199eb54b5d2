// Opens HTTP servers on addresses, all or none, and closes them in bounded time.

import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http'
import type { Socket } from 'node:net'
import { codeOf } from '../error-code.ts'
import { createConnectionLimit } from './connections.ts'

/** An address nobody can listen on, or cannot now. The message is one line for the user. */
export class ListenError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ListenError'
  }
}

export interface ListenAddress {
  /** Undefined for every address of the host. */
  readonly host: string | undefined
  /** 0 lets the kernel choose. */
  readonly port: number
  /** The address as the user wrote it. */
  readonly text: string
}

export interface RunningServer {
  /** What the servers really listen on, in the order of the addresses. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[]
  /** Ends within a second: idle connections at once, requests under way after a grace of half a second. */
  close(): Promise<void>
}

const CLOSE_GRACE_MS = 500
const CLOSE_SWEEP_MS = 20
/** Also on a host with IPv6 a port can be had for IPv4 alone, so the second is tried only where the first cannot be. */
const ANY_HOST = ['::', '0.0.0.0'] as const
const NO_IPV6 = ['EAFNOSUPPORT', 'EADDRNOTAVAIL']

const serverOptions = {
  // A scraper's request is one small packet; who takes longer holds a descriptor for nothing.
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  connectionsCheckingInterval: 5_000,
  // Above the usual scrape intervals, so that a scraper does not open a connection, and use a port, for each scrape.
  keepAliveTimeout: 75_000,
  maxHeaderSize: 16 * 1024,
} as const

/** Together: an idle one takes 20 KB. A node has a few scrapers. */
const MOST_CONNECTIONS = 1024
/** Scrapers give up earlier. A client that does not read keeps a page in our memory and the kernel's until then. */
const ANSWER_MS = 60_000

export interface ServerExtras {
  readonly onError?: ((error: unknown) => void) | undefined
  /** Makes servers that speak TLS; plain HTTP where it is undefined. */
  readonly createSecure?: ((options: ServerOptions, app: RequestListener) => Server) | undefined
  readonly mostConnections?: number
  readonly answerMs?: number
}

/** Listens on all of the addresses, or on none: throws ListenError for the first that fails. */
export async function startServer(
  app: RequestListener,
  addresses: readonly ListenAddress[],
  options: ServerExtras = {},
): Promise<RunningServer> {
  const { createSecure, mostConnections = MOST_CONNECTIONS, answerMs = ANSWER_MS } = options
  const limit = createConnectionLimit({ most: mostConnections, answerMs })
  const create = () =>
    createSecure ? trackSockets(createSecure(serverOptions, app)) : createServer(serverOptions, app)
  const servers: Server[] = []
  try {
    for (const address of addresses) {
      const server = await openServer(create, address)
      // A failing accept(), of too many open files for example, must not end the program.
      server.on('error', (error) => options.onError?.(error))
      limit(server)
      servers.push(server)
    }
  } catch (error) {
    await closeServers(servers)
    throw error
  }
  let closed: Promise<void> | undefined
  return {
    addresses: servers.map(boundAddress),
    close() {
      closed ??= closeServers(servers)
      return closed
    },
  }
}

async function openServer(create: () => Server, address: ListenAddress): Promise<Server> {
  const hosts = address.host === undefined ? ANY_HOST : [address.host]
  let failure: unknown
  for (const host of hosts) {
    try {
      return await listen(create(), { host, port: address.port })
    } catch (error) {
      failure = error
      if (!NO_IPV6.includes(codeOf(error) ?? '')) break
    }
  }
  throw explainFailure(address, failure)
}

/** Node closes connections that speak HTTP; one that is still shaking hands, or never will, would hold up the end. */
function trackSockets(server: Server): Server {
  const open = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  const closeAllConnections = server.closeAllConnections.bind(server)
  server.closeAllConnections = () => {
    closeAllConnections()
    for (const socket of open) socket.destroy()
  }
  return server
}

function listen(server: Server, at: { host: string; port: number }): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(at, () => {
      server.off('error', reject)
      resolve(server)
    })
  })
}

function explainFailure({ text, port }: ListenAddress, error: unknown): ListenError {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'the port is already in use',
    EADDRNOTAVAIL: 'this host has no such address',
    EAFNOSUPPORT: 'this host has no IPv6',
    ENOTFOUND: 'the name is not known',
    EAI_AGAIN: 'the name cannot be resolved now',
    EACCES:
      port < 1024
        ? 'permission denied (ports below 1024 need CAP_NET_BIND_SERVICE)'
        : 'permission denied',
  }
  const fallback = error instanceof Error ? error.message : String(error)
  const reason = reasons[codeOf(error) ?? ''] ?? fallback
  return new ListenError(`Cannot listen on ${text}: ${reason}`, { cause: error })
}

function boundAddress(server: Server): { host: string; port: number } {
  const address = server.address()
  // Null for a closed server, a string for a pipe: neither is opened here.
  if (address === null || typeof address === 'string') throw new ListenError('Cannot tell the port')
  return { host: address.address, port: address.port }
}

async function closeServers(servers: readonly Server[]): Promise<void> {
  await Promise.all(servers.map(closeServer))
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // A connection whose request ends meanwhile is idle then, and closed as well.
    const sweep = setInterval(() => server.closeIdleConnections(), CLOSE_SWEEP_MS)
    const grace = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS)
    server.close(() => {
      clearInterval(sweep)
      clearTimeout(grace)
      resolve()
    })
    server.closeIdleConnections()
  })
}
