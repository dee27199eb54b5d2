// The runbooks: one for each alert, what they have in common in README.md, and nothing in them that does not exist.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { options } from '../../../src/config/options.ts'
import { families } from '../../../src/metrics/families.ts'
import { readErrorReasons } from '../../../src/observation.ts'
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

/** All that a command of the program prints in its golden pages. */
function readPrinted(command: string): string {
  const golden = join(import.meta.dirname, '../../cli/golden')
  const files = readdirSync(golden).filter((file) => file.startsWith(`${command}-`))
  expect(files.length).toBeGreaterThan(1)
  return files.map((file) => readFileSync(join(golden, file), 'utf8')).join('\n')
}

test('Every alert has its page, and every page its alert', () => {
  const alerts = new Set(listAlerts().map(({ alert }) => alert))
  expect(names.sort()).toEqual([...alerts].sort())
})

test('The page of unreadable namespaces has a row for each reason', () => {
  const reasons = [...read('EphemeralPortNamespaceUnreadable').matchAll(/^\| `(\w+)` \|/gm)]
  expect(reasons.map(([, reason]) => reason).sort()).toEqual([...readErrorReasons].sort())
})

test('The page of the source NAT shows the two counters of drops, and no other one', (context) => {
  if (spawnSync('grep', ['--version']).error) return context.skip('needs grep')
  const blocks = listBlocks(read('EphemeralPortNatPortsExhausted'))
  const [, filter = ''] = blocks.join('').match(/^conntrack -S \| (.*)$/m) ?? []
  const input =
    'cpu=0   \tfound=1 invalid=3 insert=0 insert_failed=7 drop=8 early_drop=5 error=0 search_restart=2 clash_resolve=4\n'
  const { stdout } = spawnSync('sh', ['-c', filter], { input, encoding: 'utf8' })
  expect(stdout).toBe('insert_failed=7\ndrop=8\n')
})

describe.each(runbooks)('%s', (name, text) => {
  const [screen = ''] = text.split('\n## ')

  test('says on its first screen who is hit, with one command and one action', () => {
    expect(screen.split('\n').length).toBeLessThan(24)
    const marks = [`# ${name}`, '**Who is hit.** ', '**Look** ', '```sh\n', '**Do.** ']
    const places = marks.map((mark) => screen.indexOf(mark))
    expect(places).not.toContain(-1)
    expect(places).toEqual(places.toSorted((a, b) => a - b))
    const commands = listBlocks(screen).map((block) => block.trim().split('\n'))
    expect(commands).toEqual([[expect.any(String)]])
  })

  test('says itself who is hit, and leaves it to no other page', () => {
    const [, who = ''] = screen.match(/\*\*Who is hit\.\*\* ([\s\S]*?)\n\n/) ?? []
    const own = who.replace(/\[[^\]]*\]\([^)]*\)/g, '')
    expect(own).toMatch(/\b(programs?|clients|service|connections?|those who rely)\b/i)
  })

  test('says what its one command shows, and quotes only what is printed', () => {
    const [, look = ''] = screen.match(/\n\*\*Look\*\* (at [\s\S]*?):\n\n```sh\n/) ?? []
    expect(look).not.toBe('')
    const [command = ''] = listBlocks(screen)
    const [, own] = command.match(/^ephemeral-port-exporter (status|doctor)$/m) ?? []
    if (own === undefined) return
    const quoted = [...look.replaceAll('\n', ' ').matchAll(/"([^"]+)"/g)].map(([, words]) => words)
    expect(quoted.length).toBeGreaterThan(0)
    const printed = readPrinted(own)
    expect(quoted.filter((words) => !printed.includes(words ?? ''))).toEqual([])
  })

  test('has one action, which is one sentence', () => {
    const [, action = ''] = screen.match(/\n\*\*Do\.\*\* ([\s\S]*)$/) ?? []
    const shown = action
      .trim()
      .replaceAll('\n', ' ')
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replace(/`[^`]*`|"[^"]*"/g, 'words')
    expect(shown).toMatch(/^[A-Z][^.;]*\.$/)
    expect(shown).not.toMatch(/^(If|Where|When|Either)\b|\b(or|otherwise|then)\b|, and\b/i)
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

  test('reserves no port in the place of those that are reserved', () => {
    const written = [...text.matchAll(/ip_local_reserved_ports=(\S+)/g)].map(([, list]) => list)
    expect(written.filter((list) => !list?.startsWith('OLD,'))).toEqual([])
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
  expect(writes.length).toBeGreaterThan(1)
  for (const line of writes) expect(line).toMatch(/^ *nsenter -t PID -n sysctl -w /)
})

test('Shells in pods may see the programs, and crictl is that of the node', () => {
  expect(common).toMatch(/^kubectl debug -n .* --profile=general /m)
  expect(common).toMatch(/^ *chroot \/host crictl inspect /m)
})

/** Sentences that do nothing but lead to the common page, alone or in front of a block. */
const isPointer = (paragraph: string) => /^[^.:]*\]\(README\.md#[^)]*\)[^.:]*[.:]$/.test(paragraph)

test('What several pages need stands once', () => {
  const paragraphs = pages.flatMap(([, text]) =>
    text
      .replace(/\n\*\*Look\*\*[\s\S]*?\n```\n/, '')
      .replace(/^ *```sh\n[\s\S]*?^ *```$/gm, '')
      .split(/\n{2,}|\n(?=\s*(?:[*]|\d+\.) )/)
      .map((part) => part.replace(/\s+/g, ' ').trim())
      .filter((part) => part !== '' && !part.startsWith('#') && !isPointer(part)),
  )
  expect(paragraphs.length).toBeGreaterThan(200)
  expect(listRepeated(paragraphs)).toEqual([])
})

test('A command stands on one page, but for what the first screens show', () => {
  const lines = pages.flatMap(([name, text]) => {
    const blocks = name === 'README' ? listBlocks(text) : listBlocks(text).slice(1)
    const commands = blocks
      .join('')
      .split('\n')
      .map((line) => line.replace(/\s+# .*$/, '').trim())
    return [...new Set(commands)].filter((line) => line !== '')
  })
  expect(lines.length).toBeGreaterThan(30)
  expect(listRepeated(lines)).toEqual([])
})

function listRepeated(parts: readonly string[]): readonly string[] {
  return parts.filter((part, i) => parts.indexOf(part) !== i)
}

test('Every page about a namespace leads to how to get a shell there', () => {
  // The others are about the exporter itself.
  const rules = listAlerts().filter(({ expr }) => expr.includes('netns'))
  const ofNamespaces = new Set(rules.map(({ alert }) => alert))
  expect(ofNamespaces.size).toBeGreaterThan(10)
  for (const [name, text] of runbooks.filter(([name]) => ofNamespaces.has(name))) {
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
