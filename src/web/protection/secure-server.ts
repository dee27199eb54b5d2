// An HTTPS server whose certificate, authorities and rules follow the web configuration in force, connection by
// connection.

import type { RequestListener, Server, ServerOptions } from 'node:http'
import { createServer } from 'node:https'
import { Socket } from 'node:net'
import { admitsClient } from './client-certificates.ts'
import type { LoadedWebConfig } from './live-web-config.ts'

/** A scraper on the other side of the world needs two round trips. */
const HANDSHAKE_TIMEOUT_MS = 10_000

/** `current` gives settings with TLS, whose client_auth_type stays what it is. */
export function createSecureServer(
  options: ServerOptions,
  app: RequestListener,
  current: () => LoadedWebConfig,
): Server {
  let applied = current().context
  const { clientAuth = 'NoClientCert' } = current().config.tls ?? {}
  const server = createServer(
    {
      ...options,
      ...applied,
      requestCert: clientAuth !== 'NoClientCert',
      rejectUnauthorized: clientAuth === 'RequireAndVerifyClientCert',
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    },
    app,
  )
  // Both run before node's own listeners: the handshake starts with the newest certificate, and no request is read from
  // a client that is not let in.
  server.prependListener('connection', () => {
    const { context } = current()
    if (context === applied || context === undefined) return
    server.setSecureContext(context)
    applied = context
  })
  server.prependListener('secureConnection', (socket) => {
    const { tls } = current().config
    if (tls === undefined || !admitsClient(socket, tls)) socket.destroy()
  })
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ERR_SSL_HTTP_REQUEST') answerPlain(socket)
  })
  return server
}

const PLAIN_ANSWER = [
  'HTTP/1.1 400 Bad Request',
  'Content-Type: text/plain; charset=utf-8',
  'Connection: close',
  '',
  'This port speaks TLS. Ask again with https:// instead of http://\n',
].join('\r\n')

/** NB: Node has no public way from a TLS socket that failed to the connection below it; without one nothing is said. */
function answerPlain(socket: object): void {
  const connection = '_parent' in socket ? socket._parent : undefined
  if (connection instanceof Socket) connection.end(PLAIN_ANSWER, () => connection.destroy())
}
