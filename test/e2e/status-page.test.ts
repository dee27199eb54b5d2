// The status page in a real browser: real exhaustion on the page at both widths, light and dark, and 300 namespaces. Pictures
// of it are written where PICTURES names a folder.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { listen, PORTS, server } from '../live/diagnosis-scenes.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { whyNotExact } from '../support/netns/live.ts'
import { findFreePort } from '../support/program/free-port.ts'
import { waitFor, withProgram } from '../support/program/program.ts'
import { hasProgram } from '../support/program/tools.ts'
import {
  buildNamespace,
  buildPool,
  buildSettings,
  buildSnapshot,
  buildState,
  upstream,
} from '../support/render/cli-snapshot.ts'
import { createSampleApp } from '../web/sample-app.ts'

const skipReason = hasProgram('chromium') ? whyNotExact() : 'needs chromium'
const folder = process.env.PICTURES
/** In the row of a namespace whose ports are all in use. */
const FULL = '>0<span class="wide"> of 400<'
const widths = [390, 1400] as const
const schemes = ['light', 'dark'] as const
const views = widths.flatMap((width) => schemes.map((colorScheme) => ({ width, colorScheme })))

let browser: Browser
beforeAll(async () => {
  if (skipReason !== undefined) return
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
})
afterAll(() => browser?.close())

/** What axe finds serious or worse, by rule. */
async function findBarriers(page: Page): Promise<readonly string[]> {
  await page.evaluate(createRequire(import.meta.url)('axe-core').source)
  const found = await page.evaluate(
    'axe.run().then(({ violations }) => violations.map(({ id, impact, nodes }) => [id, impact, nodes[0].html]))',
  )
  return (found as string[][])
    .filter(([, impact]) => impact === 'serious' || impact === 'critical')
    .map((one) => one.join(' '))
}

/** Opens the page, checks what holds of every view, and leaves it to `use`. */
async function look(
  url: string,
  { width, colorScheme }: (typeof views)[number],
  use: (page: Page) => Promise<void>,
): Promise<void> {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme })
  const complaints: string[] = []
  try {
    // A page that renews itself meanwhile ends what is being evaluated in it.
    await context.route('**', async (route) => {
      const response = await route.fetch()
      const { refresh, ...headers } = response.headers()
      await route.fulfill({ response, headers })
    })
    const page = await context.newPage()
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(error.message))
    await page.goto(url)
    expect(await page.locator('[role=status]').count()).toBe(1)
    expect(await page.evaluate('document.scripts.length')).toBe(0)
    const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth'
    expect(await page.evaluate(overflow)).toBe(0)
    expect(await findBarriers(page)).toEqual([])
    await use(page)
    expect(complaints.filter((text) => !text.includes('favicon'))).toEqual([])
  } finally {
    await context.close()
  }
}

async function takePicture(page: Page, name: string): Promise<void> {
  if (folder !== undefined)
    await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
}

async function leak(netns: Netns, cause: 'close_wait' | 'open'): Promise<void> {
  await netns.call('setSysctls', { 'net.ipv4.ip_local_port_range': '40000 40399' })
  const listener = await listen(netns)
  const { locals } = await netns.call('open', { connect: server, count: PORTS })
  if (cause === 'open') return
  const peers = await netns.call('accept', { listener, peers: locals })
  await netns.call('close', { sockets: peers })
}

describe('the status page', () => {
  test('of a host with two exhausted namespaces says it in five seconds of reading', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    const port = await findFreePort()
    const url = `http://127.0.0.1:${port}`
    await withNetns((one) =>
      withNetns(async (other) => {
        await leak(one, 'close_wait')
        await leak(other, 'open')
        await withProgram([`--web.listen-address=127.0.0.1:${port}`, '--sample.interval=1s'], () =>
          waitFor(async () => {
            const html = await (await fetch(url, { headers: { accept: 'text/html' } })).text()
            return html.split(FULL).length > 2 || undefined
          }).then(async () => {
            for (const view of views) {
              await look(url, view, async (page) => {
                expect(await page.title()).toMatch(/^✖ \d+ of \d+ namespaces have no port left on /)
                expect(await page.locator('article').count()).toBeGreaterThanOrEqual(2)
                await takePicture(page, `status-page-${view.width}-${view.colorScheme}`)
                // Other tests may have namespaces without ports as well.
                const ours = page.locator('tbody tr', { hasText: '0 of 400' })
                expect(await ours.count()).toBeGreaterThanOrEqual(2)
                const link = ours.first().locator('a')
                const name = await link.innerText()
                await link.click()
                expect(page.url()).toBe(`${url}/namespaces/${name}`)
                expect(await findBarriers(page)).toEqual([])
                await takePicture(page, `namespace-page-${view.width}-${view.colorScheme}`)
              })
            }
          }),
        )
      }),
    )
  })

  test('of 300 namespaces is whole, and cut with a count', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    const settings = buildSettings({ firstPort: 40_000, lastPort: 40_399 })
    const namespaces = Array.from({ length: 300 }, (_, i) =>
      buildNamespace({
        netns: `pod/shop/a-rather-long-name-of-a-pod-${i}-7d9c6b5f4-x2x${i}`,
        netnsKind: 'pod',
        state: buildState({
          settings,
          pools: [
            buildPool({
              capacityPorts: 400,
              availablePorts: i,
              worstDestination: {
                ...upstream,
                destination: '[2001:db8:1234:5678:9abc:def0:1234:5678]:65535',
              },
            }),
          ],
        }),
      }),
    )
    const app = createSampleApp({ currentSnapshot: () => buildSnapshot({ namespaces }) })
    const http = createServer(app).listen(0, '127.0.0.1')
    try {
      await once(http, 'listening')
      const { port } = http.address() as AddressInfo
      for (const view of views) {
        await look(`http://127.0.0.1:${port}/`, view, async (page) => {
          expect(await page.locator('article').count()).toBe(5)
          expect(await page.locator('tbody tr').count()).toBe(150)
          expect(await page.locator('caption').innerText()).toContain('150 more namespaces')
          await takePicture(page, `status-page-300-${view.width}-${view.colorScheme}`)
        })
      }
    } finally {
      http.close()
    }
  })
})
