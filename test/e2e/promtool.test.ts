// Prometheus' own parsers and linter read our pages: those of the sample, live process metrics included, and the golden ones.

import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, test } from 'vitest'
import { createPageRenderer } from '../../src/metrics/page.ts'
import type { Format } from '../../src/metrics/render.ts'
import { untilMeasured } from '../support/program/measured-page.ts'
import { hasProgram } from '../support/program/tools.ts'
import { sampleBuild, sampleSnapshot, snapshotWith } from '../support/render/sample-snapshot.ts'

const GOLDEN = fileURLToPath(new URL('../golden/', import.meta.url))
const goldenPages = existsSync(GOLDEN)
  ? readdirSync(GOLDEN).filter((name) => name.endsWith('.prom'))
  : []
const isMissing = !hasProgram('promtool')

// A skip is said; in CI it is a failure, since a check that does not run finds nothing.
beforeEach((context) => {
  if (isMissing && process.env.CI !== 'true')
    context.skip('needs promtool (Debian: apt-get install prometheus)')
})

function promtool(args: readonly string[], input = ''): { status: number | null; output: string } {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { input, encoding: 'utf8' })
  if (error !== undefined) throw error
  return { status, output: stdout + stderr }
}

function lint(page: string): { status: number | null; output: string } {
  expect(page).toContain('ephemeral_port_usable_ports{') // promtool has nothing against an empty page
  return promtool(['check', 'metrics'], page)
}

const clean = { status: 0, output: '' }

async function renderSample(format: Format, snapshot = sampleSnapshot): Promise<string> {
  const renderer = createPageRenderer({ build: sampleBuild, includeProcessMetrics: true })
  // A copy, since one snapshot has one page.
  return await untilMeasured(async () =>
    (await renderer.render({ ...snapshot }, format)).body.toString(),
  )
}

function samplesOf(page: string): readonly string[] {
  return page.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
}

describe('promtool check metrics', () => {
  test('accepts the page of the sample, process metrics included', async () => {
    const page = await renderSample('text')
    expect(lint(page)).toEqual(clean)
  })

  test('accepts a label value that needs escaping', async () => {
    const listeners = [{ protocol: 'tcp', port: 40_000, owner: 'a"b\\c\nd' }] as const
    expect(lint(await renderSample('text', snapshotWith({ listeners })))).toEqual(clean)
  })

  test('objects to what is wrong, so that its silence means something', async () => {
    const page = await renderSample('text')
    const gauge = '# HELP x_total X.\n# TYPE x_total gauge\nx_total 1\n'
    expect(lint(page + gauge)).toMatchObject({ status: 3 })
    expect(lint(`${page}broken{\n`)).toMatchObject({ status: 1 })
  })

  test.each(goldenPages)('accepts golden/%s', (name) => {
    expect(lint(readFileSync(join(GOLDEN, name), 'utf8'))).toEqual(clean)
  })
})

describe('the OpenMetrics parser of Prometheus', () => {
  // promtool reads OpenMetrics only to import it, which needs timestamps.
  function importPage(page: string): { status: number | null; output: string } {
    const directory = mkdtempSync(join(tmpdir(), 'openmetrics-'))
    try {
      const file = join(directory, 'page.om')
      const database = join(directory, 'data')
      writeFileSync(file, page.replace(/^[^#\n].*$/gm, '$& 1764000000'))
      const imported = promtool(['tsdb', 'create-blocks-from', 'openmetrics', file, database])
      if (imported.status !== 0) return imported
      mkdirSync(join(database, 'wal')) // promtool 2.42 does not open a database without one
      return promtool(['tsdb', 'dump', database])
    } finally {
      rmSync(directory, { recursive: true })
    }
  }

  test('reads every sample of the page', async () => {
    const page = await renderSample('openmetrics')
    const { status, output } = importPage(page)
    expect(status).toBe(0)
    const series = output.split('\n').filter((line) => line.startsWith('{'))
    expect(series).toHaveLength(samplesOf(page).length)
    expect(series).toContain('{__name__="ephemeral_port_samples_total"} 17 1764000000000')
    expect(series).toContainEqual(expect.stringContaining('__name__="process_cpu_seconds_total"'))
  })

  test('objects to what is wrong, so that its silence means something', async () => {
    const page = await renderSample('openmetrics')
    expect(importPage(page).status).toBe(0)
    const endless = importPage(page.replace('# EOF\n', ''))
    expect(endless).toMatchObject({ status: 1, output: expect.stringContaining('EOF') })
    const torn = importPage(
      page.replace(/^ephemeral_port_samples_total 17$/m, 'ephemeral_port_samples_total{ 17'),
    )
    expect(torn).toMatchObject({ status: 1, output: expect.stringContaining('expected label') })
  })
})
