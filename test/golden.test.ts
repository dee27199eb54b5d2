// Recorded scenarios -> pages, compared with test/golden/. `npm run golden` writes them anew: the diff is the change.

import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { renderFamilies } from '../src/metrics/render.ts'
import { renderGolden } from './golden-page.ts'
import { type Truths, truths, truthsByProcfs } from './scenario-truths.ts'
import { openScenario, scenarioNames } from './support/kernel/scenario.ts'
import { sampleBuild, sampleSnapshot } from './support/render/sample-snapshot.ts'

const OPENMETRICS = 'dual-stack'
const BY_PROCFS = 'bound-idle-leak'
/** Built by hand: with counted failures and tried allocations as well, which no recording has. */
const EVERY_FAMILY = 'every-family'

/** Values by what scenario-truths.ts calls the series. */
function parseSeries(page: string): ReadonlyMap<string, number> {
  const lines = page.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(' ')
      const series = line
        .slice(0, space)
        .replace('ephemeral_port_', '')
        .replace(/\{netns="self",?/, '{')
        .replace('{}', '')
      return [series, Number(line.slice(space + 1))]
    }),
  )
}

function pick(page: string, wanted: Truths): Truths {
  const series = parseSeries(page)
  return Object.fromEntries(Object.keys(wanted).map((name) => [name, series.get(name)]))
}

describe.for(scenarioNames)('%s', (name) => {
  const scenario = openScenario(name)

  test('the page says what the sockets were made for', async () => {
    const wanted = truths[name] ?? {}
    expect(Object.keys(wanted).length, 'truths of the scenario').toBeGreaterThan(5)
    expect(pick(await renderGolden(scenario.readNetlink, 'text'), wanted)).toEqual(wanted)
  })

  test('available ports are what the kernel granted next', async () => {
    const { settings } = scenario
    const granted: Readonly<Record<string, number>> = scenario.granted ?? {}
    const ports = settings.range.last - settings.range.first + 1
    // Filling the default range takes half a minute.
    expect(Object.keys(granted)).toHaveLength(ports > 1000 ? 0 : 3)
    const page = parseSeries(await renderGolden(scenario.readNetlink, 'text'))
    const odd = ports % 2 === 1
    for (const [pool, count] of Object.entries(granted)) {
      const available = page.get(`pool_available_ports{pool="${pool}"}`)
      // Each search in an odd range skips one port; UDP has no such rule.
      const allowed = odd && pool !== 'udp' ? [count, count + 1] : [count]
      expect(allowed, pool).toContain(available)
    }
  })

  test('a pool has a risk of 1 and 0 seconds left where nothing is available, and only there', async () => {
    const page = parseSeries(await renderGolden(scenario.readNetlink, 'text'))
    for (const pool of ['tcp_connect', 'tcp_bind', 'udp']) {
      const exhausted = page.get(`pool_available_ports{pool="${pool}"}`) === 0
      const risk = page.get(`exhaustion_risk_ratio{pool="${pool}"}`)
      const etaSeconds = page.get(`exhaustion_eta_seconds{pool="${pool}"}`)
      expect({ pool, certain: risk === 1, now: etaSeconds === 0 }).toEqual({
        pool,
        certain: exhausted,
        now: exhausted,
      })
    }
  })

  test('by /proc no pool has less than the kernel granted', async () => {
    const page = parseSeries(await renderGolden(scenario.readProcfs, 'text'))
    for (const [pool, count] of Object.entries(scenario.granted ?? {})) {
      expect(page.get(`pool_available_ports{pool="${pool}"}`), pool).toBeGreaterThanOrEqual(count)
    }
    expect(page.get('source_info{reader="procfs",exactness="upper_bound",range="sysctl"}')).toBe(1)
  })

  test('the page is the golden one', async () => {
    const page = await renderGolden(scenario.readNetlink, 'text')
    await expect(page).toMatchFileSnapshot(`golden/${name}.prom`)
  })
})

test(`${BY_PROCFS} by /proc is an upper bound`, async () => {
  const page = await renderGolden(openScenario(BY_PROCFS).readProcfs, 'text')
  expect(pick(page, truthsByProcfs)).toEqual(truthsByProcfs)
  await expect(page).toMatchFileSnapshot(`golden/${BY_PROCFS}.procfs.prom`)
})

test(`${OPENMETRICS} as OpenMetrics has the same series`, async () => {
  const { readNetlink } = openScenario(OPENMETRICS)
  const page = await renderGolden(readNetlink, 'openmetrics')
  const text = await renderGolden(readNetlink, 'text')
  expect(page.endsWith('\n# EOF\n')).toBe(true)
  expect(parseSeries(page)).toEqual(parseSeries(text))
  await expect(page).toMatchFileSnapshot(`golden/${OPENMETRICS}.openmetrics`)
})

// That it has a sample of each is proved where the families are.
test(`the page of ${EVERY_FAMILY} is the golden one`, async () => {
  const page = await renderFamilies(sampleSnapshot, sampleBuild, 'text')
  await expect(page).toMatchFileSnapshot(`golden/${EVERY_FAMILY}.prom`)
})

test('no golden page is left over from a scenario that is gone', () => {
  const wanted = [
    ...scenarioNames.map((name) => `${name}.prom`),
    `${BY_PROCFS}.procfs.prom`,
    `${OPENMETRICS}.openmetrics`,
    `${EVERY_FAMILY}.prom`,
  ]
  const found = readdirSync(fileURLToPath(new URL('golden/', import.meta.url)))
  expect(found.filter((name) => !wanted.includes(name))).toEqual([])
})
