// A real Prometheus server scrapes the running program: what it stores is what the page said.

import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findFreePort } from '../support/program/free-port.ts'
import { waitFor, withProgram } from '../support/program/program.ts'
import { hasProgram } from '../support/program/tools.ts'

interface Answer {
  readonly data: {
    readonly result: readonly { metric: Record<string, string>; value: [number, string] }[]
  }
}

async function withPrometheus<T>(
  target: number,
  use: (query: (text: string) => Promise<Answer['data']['result']>) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'prometheus-'))
  const port = await findFreePort()
  writeFileSync(
    join(directory, 'prometheus.yml'),
    `scrape_configs:\n  - job_name: ports\n    scrape_interval: 1s\n    static_configs: [{ targets: ['127.0.0.1:${target}'] }]\n`,
  )
  const server = spawn(
    'prometheus',
    [
      `--config.file=${directory}/prometheus.yml`,
      `--storage.tsdb.path=${directory}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  )
  const ended = new Promise((resolve) => server.once('exit', resolve))
  try {
    return await use(async (text) => {
      const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(text)}`
      const answer = (await (await fetch(url)).json()) as Answer
      return answer.data.result
    })
  } finally {
    server.kill('SIGKILL')
    await ended
    rmSync(directory, { recursive: true, force: true })
  }
}

test('Prometheus scrapes the running program, and promtool accepts the live page', async (ctx) => {
  if (!hasProgram('prometheus') || !hasProgram('promtool'))
    ctx.skip('needs prometheus and promtool')
  const port = await findFreePort()
  // One namespace: others on the machine come and go, with all their series.
  await withProgram([`--web.listen-address=127.0.0.1:${port}`, '--netns=self'], async () => {
    const url = `http://127.0.0.1:${port}/metrics`
    await waitFor(async () => (await fetch(url)).ok || undefined)
    const page = await (await fetch(url)).text()
    expect(page).toContain('ephemeral_port_pool_available_ports')
    const lint = execFileSync('promtool', ['check', 'metrics'], { input: page, encoding: 'utf8' })
    expect(lint).toBe('')

    await withPrometheus(port, async (query) => {
      // One scrape in vain, and for a moment there is nothing.
      const untilThere = (text: string) =>
        waitFor(async () => {
          const rows = await query(text)
          return rows.length > 0 ? rows : undefined
        })
      const [up] = await untilThere('up{job="ports"} == 1')
      expect(up?.value[1]).toBe('1')
      await untilThere('ephemeral_port_pool_capacity_ports')
      // A pool comes with the first sample that knows of it.
      await expect
        .poll(async () => {
          const now = await (await fetch(url)).text()
          const onPage = now.matchAll(/^ephemeral_port_pool_capacity_ports\{.*pool="(\w+)"/gm)
          const pools = await query('ephemeral_port_pool_capacity_ports')
          return {
            onPage: [...onPage]
              .map(([, pool]) => pool)
              .sort()
              .join(),
            scraped: pools
              .map(({ metric }) => metric.pool)
              .sort()
              .join(),
          }
        })
        .toSatisfy(({ onPage, scraped }) => onPage === scraped && onPage.includes('tcp_connect'))
      // Namespaces, forecasts and destinations come and go: a scrape is compared with the page of the same sample.
      const { scraped, series } = await waitFor(async () => {
        const rows = (await (await fetch(url)).text())
          .split('\n')
          .filter((line) => line !== '' && !line.startsWith('#'))
        const own = rows.find((line) => line.startsWith('ephemeral_port_samples_total '))
        const sample = `ephemeral_port_samples_total == ${own?.split(' ')[1]}`
        const [row] = await query(`scrape_samples_scraped and on (job, instance) (${sample})`)
        return row === undefined
          ? undefined
          : { scraped: Number(row.value[1]), series: rows.length }
      })
      expect(scraped, 'none is dropped on the way').toBe(series)
      const counters = await untilThere('ephemeral_port_samples_total')
      expect(Number(counters[0]?.value[1])).toBeGreaterThan(0)
    })
  })
})
