// The package as npm gives it to users: what is in it, and whether it runs in a folder where nothing else is.

import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findFreePort } from '../support/program/free-port.ts'
import { waitFor, withProgram } from '../support/program/program.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const folder = mkdtempSync(join(tmpdir(), 'npm-package-'))
let packed: { readonly filename: string; readonly files: readonly { readonly path: string }[] }

// Of a copy, since packing builds dist/ anew, and other tests run the one of the checkout.
beforeAll(() => {
  const copy = join(folder, 'checkout')
  mkdirSync(copy)
  for (const name of readdirSync(ROOT)) {
    if (/^(package(-lock)?\.json|tsconfig.*\.json|[A-Z]+(\.md)?|\.npmrc)$/.test(name)) {
      copyFileSync(join(ROOT, name), join(copy, name))
    }
  }
  for (const name of ['src', 'docs', 'deploy', 'grafana']) {
    cpSync(join(ROOT, name), join(copy, name), { recursive: true })
  }
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  const answer = run(copy, ['pack', '--json', `--pack-destination=${folder}`])
  packed = JSON.parse(answer.slice(answer.indexOf('[')))[0]
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function run(cwd: string, args: readonly string[]): string {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** A connection to the registry that hangs is given up soon; what is in npm's cache is not asked for again. */
const NETWORK = ['--prefer-offline', '--fetch-timeout=20000', '--fetch-retry-maxtimeout=10000']
const ATTEMPTS = 3

/** An empty folder with the package installed into it. The registry may fail, each attempt has a folder of its own. */
function install(name: string, options: readonly string[]): string {
  const tarball = join(folder, packed.filename)
  for (let attempt = 1; ; attempt++) {
    const home = join(folder, `${name}-${attempt}`)
    mkdirSync(home)
    try {
      run(home, ['install', ...options, ...NETWORK, '--no-audit', '--no-fund', tarball])
      return home
    } catch (error) {
      if (attempt === ATTEMPTS) throw error
    }
  }
}

/** The paths of what is in a folder of the checkout. */
function list(directory: string): readonly string[] {
  return readdirSync(join(ROOT, directory)).map((name) => `${directory}/${name}`)
}

const npx = (home: string) => ['env', '-C', home, 'npx', 'ephemeral-port-exporter']

/** Serves with npx from that folder, and gives the page. */
async function scrape(home: string): Promise<string> {
  const port = await findFreePort()
  return await withProgram(
    [`--web.listen-address=127.0.0.1:${port}`],
    async () => {
      const get = async (path: string) => await fetch(`http://127.0.0.1:${port}${path}`)
      await waitFor(async () => (await get('/-/ready')).ok || undefined)
      return await (await get('/metrics')).text()
    },
    { command: npx(home) },
  )
}

test('the package holds the program, its terms, what others load from it, and its documents, and nothing else', () => {
  const paths = packed.files.map(({ path }) => path)
  const documents = paths.filter((path) => !path.startsWith('dist/')).sort()
  const units = list('deploy/systemd')
  const rules = list('deploy/prometheus').filter((path) => path.endsWith('.yaml'))
  const dashboards = list('grafana').filter((path) => path.endsWith('.json'))
  const pages = [...list('docs'), ...list('docs/development')].filter((path) =>
    path.endsWith('.md'),
  )
  const root = ['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'package.json']
  const runbooks = list('deploy/prometheus/runbooks')
  expect([rules.length, dashboards.length]).toEqual([3, 2])
  expect(runbooks.length).toBeGreaterThan(15)
  expect(documents).toEqual(
    [...root, ...pages, ...units, ...rules, ...runbooks, ...dashboards].sort(),
  )
  // The documentation copies them from the installed package.
  const told = pages.map((name) => readFileSync(join(ROOT, name), 'utf8')).join('\n')
  const copied = [
    ...told.matchAll(/^cp "\$\(npm root --global\)\/ephemeral-port-exporter\/(\S+)"/gm),
  ]
  expect(copied.length).toBe(2)
  for (const [, path] of copied) expect(units).toContain(path)
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => `dist/${path.replace(/\.ts$/, '.js')}`)
  expect(paths.filter((path) => path.startsWith('dist/')).sort()).toEqual(sources.sort())
})

describe('installed in an empty folder', () => {
  test('runs by npx, and reads the kernel exactly', async () => {
    const home = install('whole', [])
    const [command = '', ...args] = npx(home)
    const said = execFileSync(command, [...args, '--version'], { encoding: 'utf8' })
    expect(said).toBe(`ephemeral-port-exporter ${version}\n`)
    const page = await scrape(home)
    expect(page).toMatch(
      /^ephemeral_port_source_info\{netns="(host|self)",reader="netlink",.*\} 1$/m,
    )
    expect(page).toMatch(/^ephemeral_port_pool_available_ports\{.*pool="tcp_connect"\} \d+$/m)
  })

  test('runs without the optional dependency, and says that its numbers are upper bounds', async () => {
    const home = install('lean', ['--omit=optional'])
    expect(existsSync(join(home, 'node_modules/koffi'))).toBe(false)
    const page = await scrape(home)
    expect(page).toMatch(
      /^ephemeral_port_source_info\{netns="(host|self)",reader="procfs",exactness="upper_bound",range="sysctl"\} 1$/m,
    )
    expect(page).toMatch(/^ephemeral_port_pool_available_ports\{.*pool="tcp_connect"\} \d+$/m)
  })
})
