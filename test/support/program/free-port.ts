// A port on loopback that nobody listens on, outside the usual ephemeral range so that a client does not take it first.

import { once } from 'node:events'
import { createServer } from 'node:net'

export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    const server = createServer()
    try {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
      return port
    } catch {
      // Somebody has it; the next draw will do.
    } finally {
      server.close()
    }
  }
  throw new Error('Cannot find a free port')
}
