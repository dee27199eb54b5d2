// Pictures of both dashboards for documents and review, drawn in Chromium by Grafana's own panel components (test/grafana) from
// the answers of real Prometheus servers: `npm run dashboards:pictures [-- folder]`, by default grafana/screenshots.

import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import { findFreePort } from '../../test/support/program/free-port.ts'
import {
  type PrometheusServer,
  withPrometheusServer,
} from '../../test/support/prometheus/prometheus-server.ts'
import { readAnswers } from './answers.ts'
import { spanOf, withBackfilledServer } from './backfill.ts'
import {
  FLEET,
  HOUR,
  netnsName,
  RECOVERED,
  SEED,
  SHOWN,
  THREE_HOURS,
  target,
} from './backfill-fleet.ts'
import { type DashboardFile, GRAFANA, readDashboard } from './model.ts'
import type { Choice, QueryTime } from './variables.ts'

const WIDTHS = [1366, 1920] as const
const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const OVERVIEW = 'ephemeral-port-overview.json'
const NAMESPACE = 'ephemeral-port-netns.json'
/** Seconds that a host without trouble is watched for its picture. */
const WATCHED = 90

interface Scene {
  readonly name: string
  readonly file: DashboardFile
  readonly choice: Choice
  readonly time: QueryTime
  readonly caption: string
  /** Of the picture, in pixels: what is below is not shown. */
  readonly height: number
}

/** Of one file for the browser: Grafana's libraries, and what composes them. */
function bundle(directory: string): string {
  const script = join(directory, 'page.js')
  const { status, stderr } = spawnSync(
    join(ROOT, 'test/grafana/node_modules/.bin/esbuild'),
    [
      join(ROOT, 'test/grafana/page.mjs'),
      '--bundle',
      '--format=esm',
      '--platform=browser',
      '--define:process.env.NODE_ENV="production"',
      '--loader:.ttf=dataurl',
      '--minify',
      `--outfile=${script}`,
    ],
    { encoding: 'utf8' },
  )
  if (status !== 0) throw new Error(`Cannot bundle: ${stderr}`)
  return script
}

async function takePictures(
  server: PrometheusServer,
  { name, file, choice, time, caption, height }: Scene,
  { browser, script, folder }: { browser: Browser; script: string; folder: string },
): Promise<void> {
  const dashboard = readDashboard(file)
  const answers = Object.fromEntries(await readAnswers(server, dashboard, { choice, time }))
  const variables = dashboard.templating.list.filter(({ type }) => type === 'query')
  const chosen = Object.fromEntries(
    variables.map((variable) => [variable.name, `${choice[variable.name] ?? 'All'}`]),
  )
  for (const width of WIDTHS) {
    const page = await browser.newPage({ viewport: { width, height } })
    page.on('pageerror', (error) => console.error(`${name}: ${error.message}`))
    const facts = { dashboard, answers, span: time.span, chosen, caption, width }
    const html = `${script}.${name}.html`
    writeFileSync(
      html,
      `<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="${pathToFileURL(script.replace(/js$/, 'css'))}"><div id="root"></div><script>window.PAGE=${JSON.stringify(facts).replaceAll('<', '\\u003c')}</script><script type="module" src="${pathToFileURL(script)}"></script>`,
    )
    await page.goto(pathToFileURL(html).href)
    await page.waitForSelector('header')
    await delay(4000)
    const picture = join(folder, `${name}-${width}.png`)
    await page.screenshot({ path: picture })
    await page.close()
    // Half of the bytes or less, and no difference that can be seen: with fewer colors two lines may get the same one.
    spawnSync('pngquant', ['--force', '--speed=1', '--strip', '--output', picture, '256', picture])
  }
}

/** A real host: the program without any right, and a Prometheus server without rules. */
async function withHealthyHost(use: (server: PrometheusServer, time: QueryTime) => Promise<void>) {
  const port = await findFreePort()
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs']
  const program = spawn(
    'setpriv',
    [
      ...nobody,
      process.execPath,
      join(ROOT, 'dist/main.js'),
      `--web.listen-address=127.0.0.1:${port}`,
      '--netns=self',
    ],
    { stdio: 'ignore' },
  )
  const configuration = () =>
    JSON.stringify({
      global: { scrape_interval: '5s', scrape_timeout: '5s' },
      scrape_configs: [
        {
          job_name: 'ephemeral-port-exporter',
          static_configs: [{ targets: [`127.0.0.1:${port}`] }],
        },
      ],
    })
  try {
    await withPrometheusServer({ configuration }, async (server) => {
      await delay(WATCHED * 1000)
      const endSeconds = Math.floor(Date.now() / 1000)
      const span = { startSeconds: endSeconds - WATCHED, endSeconds, stepSeconds: 5 }
      await use(server, { span, scrapeSeconds: 5 })
    })
  } finally {
    program.kill()
  }
}

const folder = process.argv[2] ?? join(GRAFANA, 'screenshots')
mkdirSync(folder, { recursive: true })
const directory = mkdtempSync(join(tmpdir(), 'pictures-'))
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--allow-file-access-from-files'],
})
try {
  const studio = { browser, script: bundle(directory), folder }
  const drawn = 'Drawn by Grafana’s panel components (@grafana/ui 13.2.3), not by its server.'
  await withHealthyHost(async (server, time) => {
    const caption = `${drawn} Data: this exporter on a real host, for ${WATCHED} s, without any right; Prometheus without rules.`
    const host = { instance: '127.0.0.1', netns: 'self', cluster: '' }
    const [row] = await server.query('ephemeral_port_netns_info', {
      atSeconds: time.span.endSeconds,
    })
    const choice = { ...host, instance: row?.metric.instance ?? '', netns: row?.metric.netns ?? '' }
    const common = { time, caption, height: 1000 }
    await takePictures(
      server,
      { ...common, name: 'healthy-overview', file: OVERVIEW, choice: {} },
      studio,
    )
    await takePictures(
      server,
      { ...common, name: 'healthy-namespace', file: NAMESPACE, choice },
      studio,
    )
  })
  const fleet = { size: FLEET, steps: HOUR, seed: SEED }
  await withBackfilledServer(fleet, console.log, async (server) => {
    const time = { span: spanOf(HOUR), scrapeSeconds: HOUR.stepSeconds }
    const caption = `${drawn} Data: a synthetic fleet of 200 nodes x 100 namespaces in a real Prometheus server.`
    const common = { time, caption, height: 1500 }
    const choice = { ...target(SHOWN.node), netns: netnsName(SHOWN.node, SHOWN.number) }
    // Down to the graphs of instances, which share their colors.
    const fleetScene = {
      ...common,
      height: 2290,
      name: 'fleet',
      file: OVERVIEW,
      choice: {},
    } as const
    await takePictures(server, fleetScene, studio)
    await takePictures(server, { ...common, name: 'incident-now', file: NAMESPACE, choice }, studio)
  })
  const past = {
    size: { nodes: RECOVERED.node + 1, namespacesPerNode: 8 },
    steps: THREE_HOURS,
    seed: SEED,
  }
  await withBackfilledServer(past, console.log, async (server) => {
    const time = { span: spanOf(THREE_HOURS), scrapeSeconds: THREE_HOURS.stepSeconds }
    const caption = `${drawn} Data: a synthetic node in a real Prometheus server, three hours of it.`
    const choice = { ...target(RECOVERED.node) }
    const scene = {
      time,
      caption,
      height: 1500,
      name: 'incident-past',
      file: OVERVIEW,
      choice,
    } as const
    await takePictures(server, scene, studio)
  })
} finally {
  await browser.close()
  rmSync(directory, { recursive: true, force: true })
}
