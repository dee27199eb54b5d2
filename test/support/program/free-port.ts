// A port on loopback that nobody listens on, outside the usual ephemeral range so that a client does not take it first.

import { once } from 'node:events'
import { createServer } from 'node:net'

const LANES = 5
const LANE_PORTS = 1000
const LANE = Number(process.env.VITEST_POOL_ID ?? 0) % LANES
/**
 * Test files that run at the same time draw from different ports: one found is free until a program listens on it. Of two
 * test runs at the same time, one begins at TEST_FIRST_PORT.
 */
const FIRST = Number(process.env.TEST_FIRST_PORT ?? 20_000) + LANE_PORTS * LANE
/** Those of this file, whose programs may not listen yet. */
const given = new Set<number>()

export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = FIRST + Math.floor(Math.random() * LANE_PORTS)
    if (given.has(port)) continue
    const server = createServer()
    try {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
      given.add(port)
      return port
    } catch {
      // Somebody has it; the next draw will do.
    } finally {
      server.close()
    }
  }
  throw new Error('Cannot find a free port')
}
