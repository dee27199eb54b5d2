// Whose listeners the kernel shows in our own namespace.

import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { readListenerUids } from '../../src/kernel/listener-uids.ts'

test('finds a real listener, and none when it is gone', async (context) => {
  if (process.platform !== 'linux') return context.skip('needs Linux')
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  expect(readListenerUids(port)).toContain(process.geteuid?.())
  await new Promise((resolve) => server.close(resolve))
  expect(readListenerUids(port)).toEqual([])
})
