import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { createProcessMetrics, mergeProcessMetrics } from '../../src/metrics/process.ts'
import { createRegistry, type Format } from '../../src/metrics/render.ts'
import { untilMeasured } from '../support/program/measured-page.ts'

async function renderOwn(format: Format, read = createProcessMetrics()): Promise<string> {
  return mergeProcessMetrics(createRegistry(format), await read()).metrics()
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  collect()
}

test('mergeProcessMetrics() keeps what dashboards read', async () => {
  const page = await renderOwn('text')
  expect(page).toContain('# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total ')
  expect(page).toMatch(/^process_start_time_seconds 1\d{9}$/m)
  expect(page).toMatch(/^nodejs_heap_size_used_bytes [1-9]\d+$/m)
  expect(page).toContain(`nodejs_version_info{version="${process.version}"`)
  if (process.platform === 'linux') expect(page).toMatch(/^process_open_fds [1-9]\d*$/m)
})

test('mergeProcessMetrics() names counters for OpenMetrics as its grammar wants it', async () => {
  const page = await renderOwn('openmetrics')
  expect(page).toContain('# TYPE process_cpu_seconds counter\nprocess_cpu_seconds_total ')
  expect(page).not.toContain('_total_total')
  expect(page).toContain('# TYPE nodejs_heap_size_total_bytes gauge\nnodejs_heap_size_total_bytes ')
})

test('mergeProcessMetrics() keeps histograms whole in both formats', async () => {
  const read = createProcessMetrics()
  // A collection before the observer listens is not counted.
  const readAfterGarbage = () => {
    collectGarbage()
    return renderOwn('text', read)
  }
  await expect
    .poll(readAfterGarbage, { timeout: 60_000 })
    .toMatch(/^nodejs_gc_duration_seconds_count\{kind="major"\} [1-9]/m)
  for (const format of ['text', 'openmetrics'] as const) {
    const page = await renderOwn(format, read)
    expect(page).toContain('# TYPE nodejs_gc_duration_seconds histogram\n')
    expect(page).toMatch(/^nodejs_gc_duration_seconds_bucket\{le="\+Inf",kind="major"\} [1-9]/m)
    const sum = /^nodejs_gc_duration_seconds_sum\{kind="major"\} (.+)$/m.exec(page)?.[1]
    expect(Number(sum)).toBeGreaterThan(0)
  }
})

test('createProcessMetrics() leaves out the gauges that promtool rejects', async () => {
  const metrics = await createProcessMetrics()()
  const types = metrics.map(({ name, type }) => `${type} ${name}`)
  expect(types.filter((type) => /^gauge .*_total$/.test(type))).toEqual([])
  expect(types).toContain('gauge nodejs_active_resources')
})

test('createProcessMetrics() gives no value for an event loop it has not measured', async () => {
  const read = createProcessMetrics()
  const early = await renderOwn('text', read)
  expect(early).not.toMatch(/^nodejs_eventloop_lag_(min|mean)_seconds /m)
  expect(early).not.toContain('Nan')
  const page = await untilMeasured(() => renderOwn('text', read))
  expect(page).toMatch(/^nodejs_eventloop_lag_seconds [\d.e-]*[1-9]/m)
})

test('createProcessMetrics() counts on from read to read', async () => {
  const read = createProcessMetrics()
  const cpuSeconds = async () =>
    Number(/^process_cpu_seconds_total (.*)$/m.exec(await renderOwn('text', read))?.[1])
  const before = await cpuSeconds()
  const end = process.cpuUsage().user + 30_000
  while (process.cpuUsage().user < end); // 30 ms of work
  expect(await cpuSeconds()).toBeGreaterThanOrEqual(before + 0.03)
})
