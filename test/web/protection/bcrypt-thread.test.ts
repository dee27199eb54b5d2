import { expect, test, vi } from 'vitest'
import { createBcryptThread } from '../../../src/web/protection/bcrypt-thread.ts'

/** What the thread does with a question, as JavaScript; bcrypt-worker.js itself exists only once it is built. */
function scripted(body: string): URL {
  const code = `import { parentPort, threadId } from 'node:worker_threads'
    parentPort.on('message', ({ password, hash }) => { ${body} })`
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`)
}

test('matches() asks the thread, and each time anew', async () => {
  const thread = createBcryptThread({
    script: scripted('parentPort.postMessage(password === hash)'),
  })
  expect(await thread.matches('a', 'a')).toBe(true)
  expect(await thread.matches('a', 'b')).toBe(false)
  expect(await thread.matches('b', 'b')).toBe(true)
})

test('createBcryptThread() starts no thread before it is asked, and ends it when nobody asks', async () => {
  const script = scripted('parentPort.postMessage(threadId)')
  const thread = createBcryptThread({ script, idleMs: 50 })
  const first = await thread.matches('', '')
  expect(await thread.matches('', '')).toBe(first)
  await new Promise((resolve) => setTimeout(resolve, 150))
  expect(await thread.matches('', '')).not.toBe(first)
})

test.each([
  ['throws', "throw new Error('boom')", 'boom'],
  ['ends', 'process.exit(3)', 'The thread ended with 3'],
])(
  'matches() rejects when the thread %s, and works again afterwards',
  async (_name, harm, reason) => {
    const script = scripted(`if (password === 'bad') { ${harm} } parentPort.postMessage(true)`)
    const thread = createBcryptThread({ script })
    for (let i = 0; i < 2; i++) {
      const failed = thread.matches('bad', '')
      await expect(failed).rejects.toThrow('Cannot compare a password with its hash')
      await expect(failed).rejects.toHaveProperty('cause.message', reason)
      expect(await thread.matches('good', '')).toBe(true)
    }
  },
)

test('matches() rejects when the thread cannot start', async () => {
  const onError = vi.fn()
  process.on('uncaughtException', onError)
  const thread = createBcryptThread({ script: new URL('file:///nowhere/worker.js') })
  await expect(thread.matches('a', 'b')).rejects.toThrow('Cannot compare a password')
  await new Promise((resolve) => setTimeout(resolve, 20))
  process.off('uncaughtException', onError)
  expect(onError).not.toHaveBeenCalled()
})
