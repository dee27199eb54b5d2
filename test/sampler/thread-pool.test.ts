import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const SOURCE = readFileSync(join(import.meta.dirname, '../../src/sampler/thread-pool.ts'), 'utf8')
  .replace(/^import (\{.*\}) from (.*)$/m, 'const $1 = require($2)')
  .replace(
    'export async function warmThreadPool(): Promise<void>',
    'async function warmThreadPool()',
  )

/**
 * Threads of a fresh process at its start, when it has warmed its pool, and when the pool has had more to do than it has
 * threads. CommonJS, because loading ES modules uses the pool.
 */
const PROGRAM = `
  ${SOURCE}
  const { readdirSync } = require('node:fs')
  const { pbkdf2 } = require('node:crypto')
  const count = () => readdirSync('/proc/self/task').length
  const work = () => new Promise((done) => pbkdf2('', '', 1000, 8, 'sha1', done))
  async function main() {
    const cold = count()
    await warmThreadPool()
    const warm = count()
    await Promise.all(Array.from({ length: 16 }, work))
    console.log(JSON.stringify({ cold, warm, busy: count() }))
  }
  main()
`

test.runIf(process.platform === 'linux')('warmThreadPool() starts all threads of the pool', () => {
  const args = ['-e', PROGRAM]
  const { cold, warm, busy } = JSON.parse(
    execFileSync(process.execPath, args, { encoding: 'utf8', env: { PATH: process.env.PATH } }),
  )
  expect(warm).toBeGreaterThan(cold)
  expect(busy).toBe(warm)
})
