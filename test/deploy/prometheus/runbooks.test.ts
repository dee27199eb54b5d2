// The runbooks: one for each alert, and nothing in them that does not exist.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { options } from '../../../src/config/options.ts'
import { families } from '../../../src/metrics/families.ts'
import { listAlerts, RULES, readRuleFile } from '../../support/rules-files.ts'
import { listSelectors } from '../../support/rules-promql.ts'
import { sampleSnapshot } from '../../support/sample-snapshot.ts'

const DIRECTORY = join(RULES, 'runbooks')
const names = readdirSync(DIRECTORY).map((file) => file.replace(/\.md$/, ''))
const pages = names.map(
  (name) => [name, readFileSync(join(DIRECTORY, `${name}.md`), 'utf8')] as const,
)
const aboutExporter = readRuleFile('alerts.yaml')
  .groups.filter(({ name }) => name === 'ephemeral-port-exporter')
  .flatMap(({ rules }) => rules.map(({ alert }) => alert))

test('Every alert has its page, and every page its alert', () => {
  const alerts = new Set(listAlerts().map(({ alert }) => alert))
  expect(names.sort()).toEqual([...alerts].sort())
})

describe.each(pages)('%s', (name, text) => {
  test('has its sections in the order they are read at night', () => {
    const titles = [...text.matchAll(/^(?:# |## )(.*)$/gm)].map(([, title]) => title)
    const hasChurn = !aboutExporter.includes(name) && name !== 'EphemeralPortListenerInsideRange'
    expect(titles.filter((title) => !title?.startsWith(' '))).toEqual([
      name,
      'Meaning',
      'Impact',
      'Diagnosis',
      ...(hasChurn ? ['Churn or leak'] : []),
      'Mitigation',
    ])
  })

  test('names only metrics, labels, flags and pages that exist', () => {
    const labelsOf = new Map(families.map(({ name: family, labels }) => [family, labels]))
    const metrics = text.match(/\bephemeral_port_\w+/g) ?? []
    for (const metric of metrics) expect([...labelsOf.keys()]).toContain(metric)
    for (const { metric, labels } of listSelectors(text.replace(/`/g, ' '))) {
      expect(labelsOf.get(metric) ?? [], metric).toEqual(expect.arrayContaining([...labels]))
    }
    for (const [, page = ''] of text.matchAll(/\]\((\w+)\.md\)/g)) expect(names).toContain(page)
    for (const [, flag = ''] of text.matchAll(
      /`--((?:no-)?(?:sample|netns|forecast|source)[a-z.-]*)/g,
    )) {
      expect(Object.keys(options)).toContain(flag)
    }
  })

  test('has commands that a shell can parse', () => {
    const blocks = [...text.matchAll(/^ *```sh\n(.*?)^ *```$/gms)].map(([, block = '']) => block)
    expect(blocks.length).toBeGreaterThan(0)
    for (const block of blocks) {
      const { status, stderr } = spawnSync('sh', ['-n'], { input: block, encoding: 'utf8' })
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    }
  })

  test('asks the snapshot for fields that it has', () => {
    const namespace = sampleSnapshot.namespaces.find(({ state }) => state !== undefined)
    const filters = text.matchAll(
      /jq --arg netns "\$NETNS" '\.snapshot\.namespaces\[\] \| select\(\.netns == \$netns\) \| \.(\w+)(?: \| \.?\{?([\w, ]*)\}?)?'/g,
    )
    const found = [...filters]
    expect(found).toHaveLength(text.split('jq ').length - 1)
    for (const [, field = '', list = ''] of found) {
      expect(namespace).toHaveProperty(field)
      for (const key of list.split(', ').filter((one) => one !== '')) {
        expect(namespace?.state).toHaveProperty(key)
      }
    }
  })
})

test('Sysctls are written where they can be: in the namespace, from the node', () => {
  for (const [name, text] of pages) {
    const blocks = [...text.matchAll(/^ *```sh\n(.*?)^ *```$/gms)].map(([, block = '']) => block)
    const writes = blocks.flatMap((block) => block.match(/^.*sysctl -w.*$/gm) ?? [])
    for (const line of writes) expect(line, name).toMatch(/^ *nsenter -t PID -n sysctl -w /)
  }
})

test('Shells in pods may see the programs, and crictl is that of the node', () => {
  const inPods = pages.flatMap(([, text]) => text.match(/^kubectl debug -n .*$/gm) ?? [])
  expect(inPods.length).toBeGreaterThan(8)
  for (const line of inPods) expect(line).toContain(' --profile=general ')
  const inspected = pages.flatMap(([, text]) => text.match(/^.*crictl inspect --.*$/gm) ?? [])
  expect(inspected).toHaveLength(inPods.length)
  for (const line of inspected) expect(line).toMatch(/^chroot \/host crictl inspect /)
})

test('What the pages say about mitigation of tcp_bind is one text, and names what helps there', () => {
  const paragraphs = pages.flatMap(
    ([, text]) => text.match(/^`tcp_bind` is another matter\..*?\n(?=\n)/gms) ?? [],
  )
  expect(paragraphs).toHaveLength(2)
  expect(new Set(paragraphs).size).toBe(1)
  for (const text of [
    'specific address',
    'below the range',
    'IP_BIND_ADDRESS_NO_PORT',
    'wider range',
  ]) {
    expect(paragraphs[0]).toContain(text)
  }
})

test('What the pages say about mitigation in general is one text', () => {
  const lists = pages.flatMap(([, text]) => {
    const start = text.indexOf('In order of preference:\n\n1. Keep connections')
    return start < 0 ? [] : [text.slice(start)]
  })
  expect(lists.length).toBeGreaterThan(4)
  expect(new Set(lists).size).toBe(1)
  const [list = ''] = lists
  const order = [
    'Keep connections',
    'IP_BIND_ADDRESS_NO_PORT',
    'More destinations',
    'A wider range',
    'tcp_tw_reuse=1',
    'securityContext.sysctls',
  ]
  const places = order.map((text) => list.indexOf(text))
  expect(places).not.toContain(-1)
  expect(places).toEqual(places.toSorted((a, b) => a - b))
})
