import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { expect, test } from 'vitest'
import { createPageRenderer } from '../../src/metrics/page.ts'
import { renderFamilies } from '../../src/metrics/render.ts'
import { sampleBuild, sampleSnapshot } from '../support/render/sample-snapshot.ts'

const unzip = promisify(gunzip)
const bare = { build: sampleBuild, includeProcessMetrics: false }

test('render() gives the page of the families, and nothing else without process metrics', async () => {
  const { render } = createPageRenderer(bare)
  for (const format of ['text', 'openmetrics'] as const) {
    const page = await render(sampleSnapshot, format)
    expect(page.body.toString()).toBe(await renderFamilies(sampleSnapshot, sampleBuild, format))
  }
})

test('render() gives everyone who asks meanwhile and afterwards the same page', async () => {
  const { render } = createPageRenderer(bare)
  const [first, second] = await Promise.all([
    render(sampleSnapshot, 'text'),
    render(sampleSnapshot, 'text'),
  ])
  expect(second).toBe(first)
  expect(await render(sampleSnapshot, 'text')).toBe(first)
  expect(await render(sampleSnapshot, 'openmetrics')).not.toBe(first)
})

test('render() gives a new page for a new Snapshot, and still the old one to who holds the old', async () => {
  const { render } = createPageRenderer(bare)
  const old = await render(sampleSnapshot, 'text')
  const page = await render({ ...sampleSnapshot, samples: 18 }, 'text')
  expect(page.body.toString()).toContain('ephemeral_port_samples_total 18\n')
  expect(await render(sampleSnapshot, 'text')).toBe(old)
})

test('gzipped() compresses once, and back to the same bytes', async () => {
  const page = await createPageRenderer(bare).render(sampleSnapshot, 'text')
  const [first, second] = await Promise.all([page.gzipped(), page.gzipped()])
  expect(second).toBe(first)
  expect(first.length).toBeLessThan(page.body.length / 2)
  expect((await unzip(first)).equals(page.body)).toBe(true)
})

test('render() puts the process metrics behind the families, the same values in both formats', async () => {
  const { render } = createPageRenderer({ build: sampleBuild, includeProcessMetrics: true })
  const text = (await render(sampleSnapshot, 'text')).body.toString()
  const openmetrics = (await render(sampleSnapshot, 'openmetrics')).body.toString()
  const families = await renderFamilies(sampleSnapshot, sampleBuild, 'text')
  expect(text.startsWith(families)).toBe(true)
  expect(openmetrics.endsWith('\n# EOF\n')).toBe(true)
  const samplesOf = (page: string) => page.split('\n').filter((line) => /^[a-z]/.test(line))
  expect(samplesOf(text)).toContainEqual(
    expect.stringMatching(/^process_resident_memory_bytes \d+$/),
  )
  expect(samplesOf(openmetrics)).toEqual(samplesOf(text))
})
