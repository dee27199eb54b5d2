// What colors Grafana's own library gives to lines and numbers of the committed dashboards.

import { beforeEach, describe, expect, test } from 'vitest'
import { listPanels, type Panel, readDashboard } from '../../grafana/preview/model.ts'
import { applyPanel, isInstalled, VERSIONS } from '../grafana/library.ts'
import type { Series } from '../support/prometheus/prometheus-server.ts'

const overview = listPanels(readDashboard('ephemeral-port-overview.json'))
const detail = listPanels(readDashboard('ephemeral-port-netns.json'))

function answer(labels: Readonly<Record<string, string>>, value = '1'): Series {
  return { metric: labels, points: [[1_750_000_000, value]] }
}

/** Ten instances; the order differs from graph to graph, as it does where the highest ten are asked for. */
function instances(first: number): readonly Series[] {
  return Array.from({ length: 10 }, (_, index) =>
    answer({
      instance: `10.0.0.${(first + index) % 10}:10132`,
      pool: 'tcp_connect',
      protocol: 'tcp',
      netns: 'host',
    }),
  )
}

/** The color of each line, by its name. */
async function colorsOf(
  version: (typeof VERSIONS)[number],
  panel: Panel,
  series: readonly Series[],
) {
  const { frames, nameOf, colorOf } = await applyPanel(version, panel, [series])
  return frames.flatMap((frame) => {
    const [, field] = frame.fields
    return field === undefined ? [] : [[nameOf(field, frame), colorOf(field)] as const]
  })
}

describe.each(VERSIONS)('Grafana %s', (version) => {
  beforeEach((context) => {
    if (!isInstalled && process.env.CI !== 'true') {
      context.skip('needs test/grafana/node_modules (npm ci --prefix test/grafana)')
    }
  })

  test('an instance has one color in neighbouring graphs, whatever its place there', async () => {
    const graphs = overview.filter(({ title }) => title.endsWith('highest ten'))
    expect(graphs.length).toBeGreaterThan(7)
    const colors = new Map<string, Set<string>>()
    for (const [index, panel] of graphs.entries()) {
      for (const [name, color] of await colorsOf(version, panel, instances(index))) {
        colors.set(name, new Set([...(colors.get(name) ?? []), color]))
      }
    }
    expect([...colors].filter(([, { size }]) => size !== 1)).toEqual([])
    const different = new Set([...colors.values()].flatMap((own) => [...own])).size
    // 10.4 goes by the name of the field, which is the same for all.
    if (version === '10.4') expect(different).toBe(1)
    else expect(different).toBeGreaterThan(5)
  })

  test('lines of a graph of one namespace have colors of their own', async () => {
    const graph = detail.find(({ title }) => title === 'TCP ports by owner')
    if (graph === undefined) throw new Error('No such panel')
    const owners = ['a/b/app', 'a/b/istio-proxy', 'none', 'containerd.service'].map((owner) =>
      answer({ owner }),
    )
    const colors = await colorsOf(version, graph, owners)
    expect(colors.map(([name]) => name)).toHaveLength(4)
    expect(new Set(colors.map(([, color]) => color)).size).toBe(4)
  })

  test('the number of available ports has no color, be it 0 or 500 of 500', async () => {
    const panel = detail.find(({ title }) => title === 'Available ports')
    if (panel === undefined) throw new Error('No such panel')
    const { numbers } = await applyPanel(version, panel, [
      [answer({ pool: 'tcp_connect' }, '0'), answer({ pool: 'udp' }, '500')],
    ])
    expect(numbers.map(({ text }) => text)).toEqual(['0', '500'])
    expect(new Set(numbers.map(({ color }) => color)).size).toBe(1)
  })
})
