// How many connections all servers of the program hold together, and how long an answer may take. A client that opens
// more closes connections of the client that has most. What is idle is closed before what is under way. A limit that
// refuses new connections would let one client keep everybody out.

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

interface Connection {
  readonly socket: Socket
  /** Requests under way. */
  requests: number
  /** When it was opened, or its last request began or ended, in the order of these events. */
  since: number
}

/** The connections of one remote address. */
type Client = Set<Connection>

export interface ConnectionLimits {
  /** Connections held together. */
  readonly most: number
  /** An answer that was not read by then is given up with its connection. */
  readonly answerMs: number
}

/** Creates the function that makes a server keep the limits. */
export function createConnectionLimit({
  most,
  answerMs,
}: ConnectionLimits): (server: Server) => void {
  const clients = new Map<string, Client>()
  const byEnds = new Map<string, Connection>()
  let count = 0
  let events = 0

  function open(socket: Socket): void {
    const { remoteAddress = '' } = socket
    const ends = nameEnds(socket)
    const client = clients.get(remoteAddress) ?? new Set<Connection>()
    clients.set(remoteAddress, client)
    const connection = { socket, requests: 0, since: events++ }
    client.add(connection)
    byEnds.set(ends, connection)
    count++
    socket.once('close', () => {
      count--
      client.delete(connection)
      if (byEnds.get(ends) === connection) byEnds.delete(ends)
      if (client.size === 0 && clients.get(remoteAddress) === client) clients.delete(remoteAddress)
    })
    if (count > most) closeOne(connection)
  }

  /**
   * Closes the connection that is idle for longest, or else under way for longest, among those of the clients with the
   * most. The newest has not had the time to ask.
   */
  function closeOne(newest: Connection): void {
    const sizes = [...clients.values()].map(({ size }) => size)
    const biggest = Math.max(...sizes)
    let one: Connection | undefined
    for (const client of clients.values()) {
      if (client.size < biggest) continue
      for (const other of client) {
        if (other !== newest && (one === undefined || goesBefore(other, one))) one = other
      }
    }
    one?.socket.destroy()
  }

  /** Notes a request. That of a connection with TLS has another socket object, with the same ends. */
  function note({ socket }: IncomingMessage, response: ServerResponse): void {
    const connection = byEnds.get(nameEnds(socket))
    const late = setTimeout(() => socket.destroy(), answerMs)
    if (connection !== undefined) {
      connection.requests++
      connection.since = events++
    }
    response.once('close', () => {
      clearTimeout(late)
      if (connection === undefined) return
      connection.requests--
      connection.since = events++
    })
  }

  return (server) => {
    server.on('connection', open)
    server.prependListener('request', note)
  }
}

/** Both ends: a client may connect from one port to every address that is listened on. */
function nameEnds({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
}

function goesBefore(one: Connection, other: Connection): boolean {
  const [idle, otherIdle] = [one.requests === 0, other.requests === 0]
  return idle === otherIdle ? one.since < other.since : idle
}
