// The threads of libuv's pool belong for good to the network namespace of whoever uses the pool first (PORT-MODEL 14).

import { stat } from 'node:fs/promises'

/** Starts them all, from the calling thread. To be awaited before any thread switches its namespace. */
export async function warmThreadPool(): Promise<void> {
  await stat('/')
}
