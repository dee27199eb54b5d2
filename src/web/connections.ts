// How many connections all servers of the program hold together. Whoever opens more closes those of whoever has most, never
// a scraper that has one: a limit that refuses new connections would let one client keep everybody out.

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

interface Connection {
  readonly socket: Socket
  /** Requests under way. */
  requests: number
}

/** Connections of one client, the oldest first, by their port. */
type Client = Map<number, Connection>

/** Creates the function that makes a server keep the limit. */
export function createConnectionLimit(most: number): (server: Server) => void {
  const clients = new Map<string, Client>()
  let count = 0

  function open(socket: Socket): void {
    const { remoteAddress = '', remotePort = 0 } = socket
    const client = clients.get(remoteAddress) ?? new Map<number, Connection>()
    clients.set(remoteAddress, client)
    const connection = { socket, requests: 0 }
    client.set(remotePort, connection)
    count++
    socket.once('close', () => {
      count--
      if (client.get(remotePort) === connection) client.delete(remotePort)
      if (client.size === 0 && clients.get(remoteAddress) === client) clients.delete(remoteAddress)
    })
    if (count > most) closeOne()
  }

  /** Of the client with the most the oldest one that is idle, or the oldest. */
  function closeOne(): void {
    let biggest: Client | undefined
    for (const client of clients.values()) {
      if (client.size > (biggest?.size ?? 0)) biggest = client
    }
    const connections = [...(biggest?.values() ?? [])]
    const one = connections.find(({ requests }) => requests === 0) ?? connections[0]
    one?.socket.destroy()
  }

  /** Of a connection with TLS the request has another socket object, with the same port at the other end. */
  function note({ socket }: IncomingMessage, response: ServerResponse): void {
    const connection = clients.get(socket.remoteAddress ?? '')?.get(socket.remotePort ?? 0)
    if (connection === undefined) return
    connection.requests++
    response.once('close', () => {
      connection.requests--
    })
  }

  return (server) => {
    server.on('connection', open)
    server.prependListener('request', note)
  }
}
