import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { compare, hashSync } from 'bcryptjs'
import request from 'supertest'
import { afterEach, expect, test } from 'vitest'
import { openProtection } from '../../../src/web/protection/protection.ts'
import { createSampleApp } from '../sample-app.ts'
import { createWebConfigFolder, type WebConfigFolder } from './web-config-folder.ts'

const src = join(import.meta.dirname, '../../../src')
const folders: WebConfigFolder[] = []

afterEach(() => {
  for (const folder of folders.splice(0)) folder.remove()
})

/** Everything that is loaded along with a file, types left out. */
function loadedWith(file: string, seen = new Set<string>()): ReadonlySet<string> {
  if (seen.has(file)) return seen
  seen.add(file)
  if (!file.startsWith('/')) return seen
  const text = readFileSync(file, 'utf8')
  for (const [, from = ''] of text.matchAll(
    /^(?:import|export) (?!type )(?:[\w*{},\s]+ from )?'([^']+)'/gm,
  )) {
    loadedWith(from.startsWith('.') ? join(dirname(file), from) : from, seen)
  }
  return seen
}

test('who names no web configuration file loads nothing of what reads it', () => {
  const main = loadedWith(join(src, 'main.ts'))
  expect(main).toContain(join(src, 'web/listen.ts'))
  const protection = loadedWith(join(src, 'web/protection/protection.ts'))
  expect(main).toContain('express')
  for (const name of [
    'yaml',
    join(src, 'web/protection/web-config.ts'),
    join(src, 'web/protection/secure-server.ts'),
  ]) {
    expect(protection).toContain(name)
    expect(main).not.toContain(name)
  }
  // Not even with users, until somebody asks with a password: it belongs to a thread.
  expect(protection).not.toContain('bcryptjs')
})

test('openProtection() guards an app with what the file says, and follows the file', async () => {
  const users = (password: string) => `basic_auth_users: {alice: "${hashSync(password, 4)}"}`
  const folder = createWebConfigFolder({ 'web.yml': users('one') })
  folders.push(folder)
  const events = { changed() {}, refused() {}, failed() {} }
  const opened = openProtection(folder.path, events, { matches: compare, lookEveryMs: 0 })
  if ('problems' in opened) throw new Error(opened.problems.join())
  expect(opened.createSecure).toBeUndefined()
  expect(opened.notes).toEqual([expect.stringMatching(/^Passwords are sent in the clear/)])
  const app = createSampleApp()
  const guard = opened.guard((incoming, response) => app(incoming as never, response as never))
  const status = async (password: string) =>
    (await request(guard).get('/metrics').auth('alice', password)).status
  expect([await status('one'), await status('two')]).toEqual([200, 401])
  folder.write('web.yml', users('two'))
  expect([await status('one'), await status('two')]).toEqual([401, 200])
})

test('openProtection() gives the problems of the file', () => {
  const folder = createWebConfigFolder({ 'web.yml': 'a: 1\nb: 2' })
  folders.push(folder)
  const events = { changed() {}, refused() {}, failed() {} }
  expect(openProtection(folder.path, events)).toEqual({
    problems: [
      expect.stringMatching(/^Unknown key "a"/),
      expect.stringMatching(/^Unknown key "b"/),
    ],
  })
})
