// The threads of libuv's pool belong for good to the network namespace of the thread that uses the pool first
// (docs/development/port-model.md#threads-identity-and-owners).

import { stat } from 'node:fs/promises'

/** Starts them all, from the calling thread. To be awaited before any thread switches its namespace. */
export async function warmThreadPool(): Promise<void> {
  await stat('/')
}
