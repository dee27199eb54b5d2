// The runbooks: one for each alert, what they have in common in README.md, and nothing in them that does not exist.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { options } from '../../../src/config/options.ts'
import { families } from '../../../src/metrics/families.ts'
import { failureReasons } from '../../../src/observation.ts'
import { parseQuery } from '../../support/prometheus/promql.ts'
import { listAlerts, RULES } from '../../support/prometheus/rules-files.ts'
import { sampleSnapshot } from '../../support/render/sample-snapshot.ts'

const DIRECTORY = join(RULES, 'runbooks')
const read = (name: string) => readFileSync(join(DIRECTORY, `${name}.md`), 'utf8')
const names = readdirSync(DIRECTORY)
  .map((file) => file.replace(/\.md$/, ''))
  .filter((name) => name !== 'README')
const common = read('README')
const runbooks = names.map((name) => [name, read(name)] as const)
const pages = [...runbooks, ['README', common] as const]
/** Commands of a page, block by block. */
const listBlocks = (text: string) =>
  [...text.matchAll(/^ *```sh\n(.*?)^ *```$/gms)].map(([, block = '']) => block)

test('Every alert has its page, and every page its alert', () => {
  const alerts = new Set(listAlerts().map(({ alert }) => alert))
  expect(names.sort()).toEqual([...alerts].sort())
})

test('The page of unreadable namespaces has a row for each reason', () => {
  const reasons = [...read('EphemeralPortNamespaceUnreadable').matchAll(/^\| `(\w+)` \|/gm)]
  expect(reasons.map(([, reason]) => reason).sort()).toEqual([...failureReasons].sort())
})

describe.each(runbooks)('%s', (name, text) => {
  test('says on its first screen who is hit, with one command and one action', () => {
    const [screen = ''] = text.split('\n## ')
    expect(screen.split('\n').length).toBeLessThan(24)
    const marks = [`# ${name}`, '**Who is hit.** ', '**Look', '```sh\n', '**Do.** ']
    const places = marks.map((mark) => screen.indexOf(mark))
    expect(places).not.toContain(-1)
    expect(places).toEqual(places.toSorted((a, b) => a - b))
    const commands = listBlocks(screen).map((block) => block.trim().split('\n'))
    expect(commands).toEqual([[expect.any(String)]])
  })

  test('has its sections in the order they are read at night', () => {
    const titles = [...text.matchAll(/^## (.*)$/gm)].map(([, title]) => title)
    expect(titles).toEqual(['Meaning', 'Diagnosis', 'Mitigation'])
  })

  test('is short', () => {
    expect(text.length).toBeLessThan(5000)
  })
})

describe.each(pages)('%s', (_name, text) => {
  test('names only metrics, labels, flags and pages that exist', () => {
    const labelsOf = new Map(families.map(({ name: family, labels }) => [family, labels]))
    const metrics = text.match(/\bephemeral_port_\w+/g) ?? []
    for (const metric of metrics) expect([...labelsOf.keys()]).toContain(metric)
    const selectors = text.match(/\bephemeral_port_\w+\{[^}]*\}/g) ?? []
    for (const { metric, matchers } of selectors.flatMap((one) => parseQuery(one).selectors)) {
      const labels = matchers.map(({ label }) => label)
      expect(labelsOf.get(metric) ?? [], metric).toEqual(expect.arrayContaining(labels))
    }
    for (const [, flag = ''] of text.matchAll(
      /`--((?:no-)?(?:sample|netns|forecast|source)[a-z.-]*)/g,
    )) {
      expect(Object.keys(options)).toContain(flag)
    }
  })

  test('has commands that a shell can parse', () => {
    const blocks = listBlocks(text)
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
  const writes = pages.flatMap(
    ([, text]) =>
      listBlocks(text)
        .join('')
        .match(/^.*sysctl -w.*$/gm) ?? [],
  )
  expect(writes.length).toBeGreaterThan(2)
  for (const line of writes) expect(line).toMatch(/^ *nsenter -t PID -n sysctl -w /)
})

test('Shells in pods may see the programs, and crictl is that of the node', () => {
  expect(common).toMatch(/^kubectl debug -n .* --profile=general /m)
  expect(common).toMatch(/^ *chroot \/host crictl inspect /m)
})

test('What several pages need stands once', () => {
  const paragraphs = pages.flatMap(([, text]) =>
    text.split(/\n\n/).filter((part) => part.length > 300),
  )
  expect(paragraphs.length).toBeGreaterThan(20)
  expect(new Set(paragraphs).size).toBe(paragraphs.length)
})

test('Every page that needs a shell leads to how to get one', () => {
  const insides = runbooks.filter(
    ([, text]) =>
      /^(ss|cat|nstat) /m.test(listBlocks(text).join('')) ||
      text.includes('#what-to-look-at-inside'),
  )
  expect(insides.length).toBeGreaterThan(8)
  for (const [name, text] of insides) {
    expect(text, name).toContain('](README.md#a-shell-in-the-namespace)')
  }
  const [, shell = ''] = common.split('\n## A shell in the namespace\n')
  for (const way of [
    'ip netns exec ',
    'nsenter -t "$PID" -n ',
    'lsns -t net ',
    '/api/v1/snapshot',
  ]) {
    expect(shell).toContain(way)
  }
})

test('What is said about more ports is in the order of preference', () => {
  const order = [
    'Keep connections',
    'IP_BIND_ADDRESS_NO_PORT',
    'More destinations',
    'A wider range',
    'tcp_tw_reuse=1',
    'securityContext.sysctls',
  ]
  const [, list = ''] = common.split('\n## More ports\n')
  const places = order.map((text) => list.indexOf(text))
  expect(places).not.toContain(-1)
  expect(places).toEqual(places.toSorted((a, b) => a - b))
})

test('No page promises that a restart frees the ports of open connections at once', () => {
  expect(common).toMatch(/^\| ESTABLISHED \| does \*\*not\*\* free them at once/m)
  for (const [name, text] of pages)
    expect(text, name).not.toMatch(/restart of the owner|frees all of them/)
})
