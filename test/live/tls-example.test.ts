// The TLS example of the documentation, pasted into a shell as it stands; only npx is ours, and the port another one.

import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { parseWebConfig } from '../../src/web/protection/web-config.ts'
import { findFreePort } from '../support/program/free-port.ts'
import { hasProgram } from '../support/program/tools.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const blocksOf = (page: string, language: string) =>
  [...readFileSync(join(ROOT, page), 'utf8').matchAll(/^```(\w*)\n(.*?)^```$/gms)].flatMap(
    ([, of, text = '']) => (of === language ? [text] : []),
  )
const [example = ''] = blocksOf('docs/tls.md', 'sh')
const folder = mkdtempSync(join(tmpdir(), 'tls-example-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('the four lines give an exporter that speaks TLS, and ask it', async (ctx) => {
  if (!hasProgram('openssl') || !hasProgram('curl')) return ctx.skip('needs openssl and curl')
  expect(example.trim().split('\n')).toHaveLength(4)
  expect(blocksOf('README.md', 'sh')).toEqual([example])
  const npx = join(folder, 'npx')
  const main = join(ROOT, 'dist/main.js')
  writeFileSync(npx, `#!/bin/sh\nshift\nexec '${process.execPath}' '${main}' "$@"\n`)
  chmodSync(npx, 0o755)
  const port = await findFreePort()
  const script = `${example.replaceAll('10132', String(port))}code=$?; kill $!; exit $code`
  const said = execFileSync('sh', ['-c', script], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    env: {
      ...process.env,
      PATH: `${folder}:${process.env.PATH}`,
      EPHEMERAL_PORT_EXPORTER_WEB_LISTEN_ADDRESS: `:${port}`,
    },
  })
  // A busy machine may be asked before its first sample, which curl prints as well.
  expect(said).toMatch(/^(No sample has been taken yet.*\n)*(ok|note|warning|critical): /)
  expect(said).toMatch(/ sampled \d+ s ago\n/)
})

test('the file in full is a web configuration, with its comments and without them', () => {
  const [yaml = ''] = blocksOf('docs/tls.md', 'yaml')
  expect(yaml).toContain('tls_server_config')
  expect(parseWebConfig(yaml, '/web.yaml')).not.toHaveProperty('problems')
  const hash = `$2y$10$${'a'.repeat(53)}`
  const whole = yaml
    .replace('# web.yaml\n', '')
    .replaceAll('# client', 'client')
    .replace(/^# ?/gm, '')
    .replace('$2y$10$...', hash)
  const outcome = parseWebConfig(whole, '/web.yaml')
  expect(outcome).not.toHaveProperty('problems')
  expect(outcome).toHaveProperty('config.users', new Map([['prometheus', hash]]))
  expect(outcome).toHaveProperty('config.tls.clientAuth', 'RequireAndVerifyClientCert')
})
