// Renders both dashboards with the data of the backfilled fleet and takes their pictures with Chromium, for review and for the
// README: `npx tsx grafana/preview/pictures.ts [folder [scale]]`, by default grafana/screenshots and 0.75.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readAnswers } from './answers.ts'
import { spanOf, withBackfilledServer } from './backfill.ts'
import { FLEET, HOUR, netnsName, SEED, SHOWN, target } from './backfill-fleet.ts'
import { renderPage } from './html.ts'
import { DASHBOARDS, type DashboardFile, GRAFANA, readDashboard } from './model.ts'
import type { Choice } from './variables.ts'

const CAPTION =
  'Not Grafana: the layout of the committed dashboard with the answers of a Prometheus server to its queries, synthetic fleet of 200 nodes x 100 namespaces'
const WINDOW_WIDTH = 1630
/** The whole page is what a README shows, and it can still be read. */
const SCALE = 0.75

const shown = target(SHOWN.node)
const choices: Readonly<Record<DashboardFile, Choice>> = {
  'ephemeral-port-overview.json': {},
  'ephemeral-port-netns.json': { ...shown, netns: netnsName(SHOWN.node, SHOWN.number) },
}

const scale = Number(process.argv[3] ?? SCALE)

function takePicture(html: string, file: string, directory: string): void {
  const page = join(directory, 'page.html')
  writeFileSync(page, html)
  const height = 70 + Number(/main style="height:(\d+)/.exec(html)?.[1] ?? 1000) + 24
  const { status, stderr } = spawnSync(
    'chromium',
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--hide-scrollbars',
      `--user-data-dir=${mkdtempSync(join(directory, 'profile-'))}`,
      `--window-size=${WINDOW_WIDTH},${height}`,
      `--force-device-scale-factor=${scale}`,
      `--screenshot=${file}`,
      `file://${page}`,
    ],
    { encoding: 'utf8', timeout: 120_000 },
  )
  if (status !== 0) throw new Error(`Cannot take a picture with Chromium: ${stderr}`)
}

const folder = process.argv[2] ?? join(GRAFANA, 'screenshots')
mkdirSync(folder, { recursive: true })
const directory = mkdtempSync(join(tmpdir(), 'pictures-'))
try {
  const backfill = { size: FLEET, steps: HOUR, seed: SEED }
  await withBackfilledServer(backfill, console.log, async (server) => {
    const time = { span: spanOf(HOUR), scrapeSeconds: HOUR.stepSeconds }
    for (const name of DASHBOARDS) {
      const dashboard = readDashboard(name)
      const choice = choices[name]
      const answers = await readAnswers(server, dashboard, { choice, time })
      const variables = dashboard.templating.list.filter(({ type }) => type === 'query')
      const chosen = Object.fromEntries(
        variables.map((variable) => [variable.name, `${choice[variable.name] ?? 'All'}`]),
      )
      const html = renderPage(dashboard, { span: time.span, answers, chosen, caption: CAPTION })
      takePicture(html, join(folder, name.replace('.json', '.png')), directory)
    }
  })
} finally {
  rmSync(directory, { recursive: true, force: true })
}
