import { expect, test } from 'vitest'
import { families } from '../../src/metrics/families.ts'
import { contentTypes, renderFamilies } from '../../src/metrics/render.ts'
import type { NamespaceState } from '../../src/snapshot.ts'
import {
  sampleBuild,
  sampleSnapshot,
  sampleState,
  snapshotWith,
} from '../support/render/sample-snapshot.ts'

test('contentTypes are what Prometheus 3 insists on', () => {
  expect(contentTypes).toEqual({
    text: 'text/plain; version=0.0.4; charset=utf-8',
    openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  })
})

test('renderFamilies() gives the same text for the same Snapshot, whatever was rendered between', async () => {
  const text = await renderFamilies(sampleSnapshot, sampleBuild, 'text')
  const openmetrics = await renderFamilies(sampleSnapshot, sampleBuild, 'openmetrics')
  expect(await renderFamilies(sampleSnapshot, sampleBuild, 'text')).toBe(text)
  expect(await renderFamilies(sampleSnapshot, sampleBuild, 'openmetrics')).toBe(openmetrics)
})

test('renderFamilies() does not depend on the order of namespaces, pools and rows', async () => {
  const reversed: NamespaceState = {
    ...sampleState,
    protocols: sampleState.protocols.toReversed(),
    pools: sampleState.pools.toReversed(),
    timeWaitRelease: sampleState.timeWaitRelease.toReversed(),
    ...(sampleState.destinations && {
      destinations: {
        ...sampleState.destinations,
        rows: sampleState.destinations.rows.toReversed(),
      },
    }),
  }
  const snapshot = {
    ...sampleSnapshot,
    namespaces: sampleSnapshot.namespaces
      .map((namespace) => {
        const pools = namespace.state?.pools.toReversed()
        return pools === undefined ? namespace : { ...namespace, state: { ...reversed, pools } }
      })
      .toReversed(),
    collectors: sampleSnapshot.collectors.toReversed(),
  }
  const page = await renderFamilies(snapshot, sampleBuild, 'text')
  expect(page).toBe(await renderFamilies(sampleSnapshot, sampleBuild, 'text'))
})

test('renderFamilies() writes OpenMetrics as its grammar wants it', async () => {
  const page = await renderFamilies(sampleSnapshot, sampleBuild, 'openmetrics')
  expect(page.endsWith('\n# EOF\n')).toBe(true)
  expect(page).not.toContain('\n\n')
  expect(page).toContain('# TYPE ephemeral_port_samples counter\nephemeral_port_samples_total 17\n')
  for (const { name, type } of families) {
    const family = type === 'counter' ? name.replace(/_total$/, '') : name
    expect(page).toContain(`# TYPE ${family} ${type}\n${name}`)
    expect(page).toContain(`# HELP ${family} `)
  }
})

test('renderFamilies() escapes what would end a label value', async () => {
  const owner = 'a"b\\c\nd'
  const snapshot = snapshotWith({ listeners: [{ protocol: 'tcp', port: 40_000, owner }] })
  const page = await renderFamilies(snapshot, sampleBuild, 'text')
  expect(page).toContain('port="40000",owner="a\\"b\\\\c\\nd"} 1\n')
})

test('renderFamilies() leaves out a counter below 0 and keeps the rest of the page', async () => {
  const page = await renderFamilies(snapshotWith({ connectionsOpened: -1 }), sampleBuild, 'text')
  expect(page).not.toContain('connections_opened')
  expect(page).toContain('ephemeral_port_samples_total 17\n')
})

test('renderFamilies() sorts numeric labels as numbers', async () => {
  const listeners = [50_000, 9_000, 10_000].map((port) => ({ protocol: 'tcp', port, owner: 'x' }))
  const snapshot = snapshotWith({ listeners: listeners as NamespaceState['listeners'] })
  const page = await renderFamilies(snapshot, sampleBuild, 'text')
  expect(page.match(/(?<=port=")\d+/g)).toEqual(['9000', '10000', '50000'])
})
