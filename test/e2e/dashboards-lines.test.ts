// What Grafana's own library, in 10.4 and in 13.2, makes of the lines of the committed dashboards, and of numbers without a
// scale: whose color is whose, and where a point of a line leads.

import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  type AnsweredPanel,
  type Answers,
  askBackfilledServer,
  findPanel,
  panels,
  parseLink,
} from '../grafana/backfilled-answers.ts'
import { FROM } from '../grafana/frames.ts'
import { applyPanel, isInstalled, VERSIONS } from '../grafana/library.ts'
import { hasProgram } from '../support/program/tools.ts'
import type { Series } from '../support/prometheus/prometheus-server.ts'

const isMissing = !isInstalled || !hasProgram('prometheus')
const graphs = panels.filter(({ panel }) => panel.type === 'timeseries')
const ofTen = graphs.filter(({ panel }) => /(?:highest|oldest) ten$/.test(panel.title))
const shownTime = { from: 'now-1h', to: 'now' }
let answers: Answers = { of: () => [], marked: [] }

beforeAll(async () => {
  if (!isMissing) answers = await askBackfilledServer()
}, 120_000)

function answer(labels: Readonly<Record<string, string>>, value = '1'): Series {
  return { metric: labels, points: [[1_750_000_000, value]] }
}

async function linesOf(
  version: (typeof VERSIONS)[number],
  { panel }: AnsweredPanel,
  series: readonly (readonly Series[])[],
) {
  const { frames, nameOf, colorOf } = await applyPanel(version, panel, series)
  return frames.flatMap((frame) => {
    const [time, field] = frame.fields
    if (field === undefined) return []
    return [{ name: nameOf(field, frame), color: colorOf(field), time, field }]
  })
}

describe.each(VERSIONS)('Grafana %s', (version) => {
  beforeEach((context) => {
    if (isMissing && process.env.CI !== 'true') {
      context.skip('needs prometheus and test/grafana/node_modules (npm ci --prefix test/grafana)')
    }
  })

  test('an instance, or a namespace, has one name and one color in all graphs, and they differ in color', async () => {
    expect(ofTen.length).toBeGreaterThan(8)
    const lines = new Map<string, { places: number; looks: Set<string> }>()
    for (const one of ofTen) {
      const own = await linesOf(version, one, answers.of(one))
      expect(own.length).toBeLessThanOrEqual(10)
      for (const { name, color, field } of own) {
        const { cluster, instance, netns = '' } = field.labels ?? {}
        const whose = `${cluster} ${instance} ${netns}`
        const { places = 0, looks = new Set<string>() } = lines.get(whose) ?? {}
        lines.set(whose, { places: places + 1, looks: looks.add(`${name}: ${color}`) })
      }
      // Two of ten may have the same by chance.
      const different = new Set(own.map(({ color }) => color)).size
      expect([one.name, different]).toEqual([
        one.name,
        expect.toSatisfy((count: number) => count >= own.length * 0.6),
      ])
    }
    const all = [...lines.values()]
    expect(all.filter(({ places }) => places > 1).length).toBeGreaterThan(5)
    expect(all.filter(({ looks }) => looks.size !== 1)).toEqual([])
  })

  test('the legend of a graph with more than three lines stands beside it, where it has room for all', async () => {
    let many = 0
    for (const one of graphs) {
      const { options, gridPos } = one.panel
      const rows = (await linesOf(version, one, answers.of(one))).length
      if (rows <= 3) continue
      many++
      expect([one.name, options?.legend]).toEqual([
        one.name,
        expect.objectContaining({ placement: 'right' }),
      ])
      // A head and rows of 20 pixels, below a title of 40.
      expect(gridPos.h * 38 - 8 - 40, one.name).toBeGreaterThanOrEqual((rows + 1) * 20)
    }
    expect(many).toBeGreaterThan(10)
  })

  test('lines of a graph of one namespace have colors of their own', async () => {
    const owners = ['a/b/app', 'a/b/istio-proxy', 'none', 'containerd.service'].map((owner) =>
      answer({ owner }),
    )
    const lines = await linesOf(version, findPanel('TCP ports by owner'), [owners])
    expect(lines).toHaveLength(4)
    expect(new Set(lines.map(({ color }) => color)).size).toBe(4)
  })

  test('the number of available ports has no color, be it 0 or 500 of 500', async () => {
    const { panel } = findPanel('Available ports')
    const { numbers } = await applyPanel(version, panel, [
      [answer({ pool: 'tcp_connect' }, '0'), answer({ pool: 'udp' }, '500')],
    ])
    expect(numbers.map(({ text }) => text)).toEqual(['0', '500'])
    expect(new Set(numbers.map(({ color }) => color)).size).toBe(1)
  })

  test('a point of any line leads to the same page with that moment as the end of the time shown', async () => {
    expect(graphs.length).toBeGreaterThan(35)
    let followed = 0
    for (const one of graphs) {
      const uid = one.file.replace('.json', '')
      const own = uid === 'ephemeral-port-netns' ? { 'var-netns': '$__all' } : {}
      for (const { time, field } of await linesOf(version, one, answers.of(one))) {
        const rows = field.values.length
        for (const row of new Set([0, Math.floor(rows / 2), rows - 1])) {
          const links = field.getLinks?.({ valueRowIndex: row }).map(({ href }) => parseLink(href))
          followed++
          expect([one.name, links]).toEqual([
            one.name,
            expect.arrayContaining([
              {
                page: `/d/${uid}`,
                ...Object.fromEntries(
                  ['cluster', 'job', 'instance', 'namespace'].map((name) => [
                    `var-${name}`,
                    '$__all',
                  ]),
                ),
                'var-datasource': 'prom',
                ...own,
                from: `${FROM}`,
                to: `${time?.values[row]}`,
              },
            ]),
          ])
        }
      }
    }
    expect(followed).toBeGreaterThan(200)
  })

  test('lines of instances lead to that instance in the time shown, and those of a namespace to its instance', async () => {
    let followed = 0
    for (const one of graphs.filter(
      (graph) => ofTen.includes(graph) || graph.file === 'ephemeral-port-netns.json',
    )) {
      const isOfTen = ofTen.includes(one)
      for (const { field } of await linesOf(version, one, answers.of(one))) {
        const links = field.getLinks?.({ valueRowIndex: 0 }).map(({ href }) => parseLink(href))
        followed++
        expect([one.name, links]).toEqual([
          one.name,
          expect.arrayContaining([
            {
              page: '/d/ephemeral-port-overview',
              'var-datasource': 'prom',
              'var-cluster': '$__all',
              'var-job': isOfTen ? field.labels?.job : '$__all',
              'var-instance': isOfTen ? field.labels?.instance : '$__all',
              ...shownTime,
            },
          ]),
        ])
      }
    }
    expect(followed).toBeGreaterThan(60)
  })
})
