import { createServer } from 'node:http'
import { compare, hashSync } from 'bcryptjs'
import request from 'supertest'
import { expect, test, vi } from 'vitest'
import { createCredentialCheck } from '../../../src/web/protection/credentials.ts'
import { createGuard } from '../../../src/web/protection/guard.ts'
import type { WebConfig } from '../../../src/web/protection/web-config.ts'
import { createSampleApp } from '../sample-app.ts'

const open: WebConfig = {
  tls: undefined,
  users: new Map(),
  headers: [],
  rateLimit: undefined,
  notes: [],
}
const users = new Map([['alice', hashSync('open sesame', 4)]])

function guarded(
  config: Partial<WebConfig> | (() => WebConfig),
  {
    matches = compare as (password: string, hash: string) => Promise<boolean>,
    app = createSampleApp(),
  } = {},
) {
  const errors: unknown[] = []
  const guard = createGuard(app as Parameters<typeof createGuard>[0], {
    current: typeof config === 'function' ? config : () => ({ ...open, ...config }),
    check: createCredentialCheck({ matches, share: 0.2 }),
    onError: (error) => errors.push(error),
  })
  return { guard, errors }
}

test.each(['/metrics', '/', '/-/healthy', '/-/ready', '/api/v1/snapshot', '/nowhere'])(
  '%s is 401 without the right password',
  async (path) => {
    const { guard } = guarded({ users })
    for (const [name, password] of [undefined, ['alice', 'wrong'], ['bob', 'open sesame']].map(
      (pair) => pair ?? [],
    )) {
      const asked = request(guard).get(path)
      const response = await (name && password !== undefined ? asked.auth(name, password) : asked)
      expect(response.status).toBe(401)
      expect(response.headers['www-authenticate']).toBe(
        'Basic realm="ephemeral-port-exporter", charset="UTF-8"',
      )
      expect(response.text).toBe('Unauthorized\n')
      expect(response.headers['content-type']).toBe('text/plain; charset=utf-8')
    }
  },
)

test('everything is as without authentication for who has the right password', async () => {
  const app = createSampleApp()
  const { guard } = guarded({ users }, { app })
  for (const path of ['/metrics', '/', '/-/healthy', '/-/ready', '/api/v1/snapshot', '/nowhere']) {
    const without = await request(app).get(path)
    const response = await request(guard).get(path).auth('alice', 'open sesame')
    expect(response.status).toBe(without.status)
    // The age of the sample may have become a second more between the two answers.
    const ageless = (text: string) => text.replace(/sampled \d+ s ago/, 'sampled')
    expect(ageless(response.text)).toBe(ageless(without.text))
    const plain = ({ date: _date, etag: _etag, ...headers }: Record<string, string>) => headers
    expect(plain(response.headers)).toEqual(plain(without.headers))
  }
})

test('HEAD and other methods need the password too', async () => {
  const { guard } = guarded({ users })
  expect((await request(guard).head('/metrics')).status).toBe(401)
  expect((await request(guard).post('/metrics').send('x'.repeat(10_000))).status).toBe(401)
  const response = await request(guard).post('/metrics').auth('alice', 'open sesame')
  expect(response.status).toBe(405)
})

test('headers of the configuration are on every answer, and win over those of the start page', async () => {
  const headers = [
    ['Content-Security-Policy', "default-src 'self'"],
    ['Strict-Transport-Security', 'max-age=1'],
  ] as const
  const { guard } = guarded({ users, headers })
  for (const path of ['/', '/metrics']) {
    for (const password of ['open sesame', 'wrong']) {
      const response = await request(guard).get(path).auth('alice', password)
      expect(response.headers['content-security-policy']).toBe("default-src 'self'")
      expect(response.headers['strict-transport-security']).toBe('max-age=1')
    }
  }
})

test('the rate limit answers 429, and starts anew when it is changed', async () => {
  let rateLimit = { intervalMs: 3_600_000, burst: 2 }
  const { guard } = guarded(() => ({ ...open, users, rateLimit }))
  const statuses = async (number: number) => {
    const all: number[] = []
    for (let i = 0; i < number; i++) {
      const response = await request(guard).get('/-/healthy').auth('alice', 'open sesame')
      all.push(response.status)
      if (response.status === 429) expect(response.headers['retry-after']).toBe('1')
    }
    return all
  }
  expect(await statuses(3)).toEqual([200, 200, 429])
  rateLimit = { intervalMs: 3_600_000, burst: 1 }
  expect(await statuses(2)).toEqual([200, 429])
})

test('users that change on the way are asked for from the next request on', async () => {
  let current = open
  const { guard } = guarded(() => current)
  expect((await request(guard).get('/metrics')).status).toBe(200)
  current = { ...open, users }
  expect((await request(guard).get('/metrics')).status).toBe(401)
  current = { ...open, users: new Map([['alice', hashSync('new', 4)]]) }
  expect((await request(guard).get('/metrics').auth('alice', 'open sesame')).status).toBe(401)
  expect((await request(guard).get('/metrics').auth('alice', 'new')).status).toBe(200)
})

test('a comparison that fails to work is 500 and reported', async () => {
  const failure = new Error('no thread')
  const { guard, errors } = guarded({ users }, { matches: () => Promise.reject(failure) })
  const response = await request(guard).get('/metrics').auth('alice', 'open sesame')
  expect(response.status).toBe(500)
  expect(response.text).toBe('Internal error, the log says more\n')
  expect(errors).toEqual([failure])
})

test('whoever has been admitted is served while wrong passwords are compared', async () => {
  let release = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const matches = vi.fn(async (password: string, hash: string) => {
    if (password !== 'open sesame') await released
    return compare(password, hash)
  })
  const { guard } = guarded({ users }, { matches })
  const server = createServer(guard).listen(0)
  try {
    const status = async (password: string) =>
      (await request(server).get('/metrics').auth('alice', password)).status
    expect(await status('open sesame')).toBe(200)
    const guesses = Array.from({ length: 12 }, (_, i) => status(`guess${i}`))
    await expect.poll(() => matches.mock.calls.length, { timeout: 120_000 }).toBe(2)
    // The comparison of the guess has not ended, and does not before this has.
    expect(await status('open sesame')).toBe(200)
    release()
    const statuses = await Promise.all(guesses)
    expect(statuses.filter((one) => one === 401)).toHaveLength(4)
    expect(statuses.filter((one) => one === 429)).toHaveLength(8)
    expect(matches).toHaveBeenCalledTimes(5)
  } finally {
    server.close()
  }
})
