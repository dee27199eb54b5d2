// What a client sees of a TLS server: one connection, one request, and what came of it.

import { X509Certificate } from 'node:crypto'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'

export interface Visit {
  /** Undefined where the server let nobody in. */
  readonly status: number | undefined
  readonly body: string
  /** Fingerprint of the server's certificate, if it came to that. */
  readonly fingerprint: string | undefined
  readonly protocol: string | null
  readonly cipher: string | undefined
  readonly alpn: string | false | null
  /** To resume with. */
  readonly session: Buffer | undefined
  readonly resumed: boolean
}

export function visit(port: number, options: ConnectionOptions = {}): Promise<Visit> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
    let text = ''
    let session: Buffer | undefined
    let seen = describe(socket)
    socket.on('session', (given) => {
      session = given
    })
    socket.on('secureConnect', () => {
      seen = describe(socket)
      socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    })
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('error', () => {}) // being refused is what many a test wants
    socket.on('close', () => {
      const status = /^HTTP\/1\.1 (\d+) /.exec(text)?.[1]
      const body = text.split('\r\n\r\n').slice(1).join('')
      resolve({ ...seen, session, body, status: status === undefined ? undefined : Number(status) })
    })
  })
}

function describe(socket: TLSSocket): Omit<Visit, 'status' | 'body' | 'session'> {
  return {
    fingerprint: socket.getPeerX509Certificate()?.fingerprint256,
    protocol: socket.getProtocol(),
    cipher: socket.getCipher()?.standardName,
    alpn: socket.alpnProtocol,
    resumed: socket.isSessionReused(),
  }
}

export function fingerprintOf(pem: string): string {
  return new X509Certificate(pem).fingerprint256
}
