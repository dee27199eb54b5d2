// Documents: sizes, links, names and style. Prints the figures that it judges.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { optionNames } from '../../src/config/options.ts'
import { families } from '../../src/metrics/families.ts'
import { dropCodeBlocks, listAnchors, listLinks, takeProse } from './markdown.ts'

const root = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const listPages = (folder: string) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name))
    .sort()

const documents = ['README.md', ...listPages('docs')]
const pages = [
  ...documents,
  'CONTRIBUTING.md',
  'SECURITY.md',
  'deploy/helm/ephemeral-port-exporter/README.md',
  ...listPages('deploy/prometheus/runbooks'),
]
const figures: string[] = []
afterAll(() => console.log(figures.join('\n')))

const CURL_FLAGS = ['cacert', 'retry', 'retry-connrefused', 'silent']
const README_BYTES = 12 * 1024
const HELP_CHARACTERS = 200
const LINE_CHARACTERS = 120
const SEMICOLONS_PER_1000_WORDS = 2

/** Words of sentences without a plain subject: it stands in the sentence before, or nowhere. */
const FORBIDDEN = /\b(Likewise|Of these|Of those|[Ww]ho(?:m)?ever)\b.{0,40}/g
const isLong = (line: string) => [...line].length > LINE_CHARACTERS

/** The lines of comments of a source that stand on lines of their own, without indentation. */
const listComments = (source: string) =>
  source.split('\n').filter((line) => /^\s*(?:\/\/|\/\*|\* |\*$)/.test(line))

const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join('src', name))

test('comments have lines that a diff can show, and whole sentences', () => {
  const comments = sources.flatMap((path) =>
    listComments(read(path)).map((line) => ({ path, line: line.trim(), isLong: isLong(line) })),
  )
  expect(comments.length).toBeGreaterThan(3000)
  expect(comments.filter((one) => one.isLong)).toEqual([])
  expect(comments.filter(({ line }) => line.match(FORBIDDEN) !== null)).toEqual([])
})

test('comments of what is declared begin with a name or a verb', () => {
  const comments = sources.flatMap((path) =>
    [...read(path).matchAll(/\/\*\*\s+(?:\* )?(\S.{0,40})/g)].map(([, begin = '']) => ({
      path,
      begin,
    })),
  )
  expect(comments.length).toBeGreaterThan(2000)
  expect(comments.filter(({ begin }) => /^(Of|As|Those|Since|Until|By)\b/.test(begin))).toEqual([])
})

test('README is a door and not a house', () => {
  for (const page of documents) figures.push(`${page}: ${Buffer.byteLength(read(page))} bytes`)
  expect(Buffer.byteLength(read('README.md'))).toBeLessThanOrEqual(README_BYTES)
  expect(read('README.md')).toContain('npm ci && npm start')
  expect(read('README.md')).toContain('npm cit')
})

test('HELP is short', () => {
  const lengths = families.map(({ help }) => help.length).sort((a, b) => a - b)
  figures.push(`HELP: median ${lengths[lengths.length >> 1]}, longest ${lengths.at(-1)} characters`)
  const long = families.filter(({ help }) => help.length > HELP_CHARACTERS)
  expect(long.map(({ name }) => name)).toEqual([])
})

test('prose has few semicolons', () => {
  const prose = documents.map((page) => takeProse(read(page))).join('\n')
  const words = prose.match(/\S+/g)?.length ?? 0
  const semicolons = prose.match(/;/g)?.length ?? 0
  const share = (semicolons / words) * 1000
  figures.push(`${semicolons} semicolons in ${words} words: ${share.toFixed(2)} per 1,000`)
  expect(words).toBeGreaterThan(5000)
  expect(share).toBeLessThan(SEMICOLONS_PER_1000_WORDS)
})

describe.each(pages)('%s', (page) => {
  const text = read(page)

  test('has links that lead somewhere', () => {
    const broken = listLinks(page, text).filter(({ path, anchor }) => {
      if (!existsSync(join(root, path))) return true
      return anchor !== undefined && path.endsWith('.md') && !listAnchors(read(path)).has(anchor)
    })
    expect(broken).toEqual([])
  })

  test('has whole sentences', () => {
    expect(takeProse(text).match(FORBIDDEN) ?? []).toEqual([])
  })

  test('has lines that a diff can show', () => {
    const lines = dropCodeBlocks(text).split('\n')
    expect(lines.filter((line) => isLong(line) && !/^\s*\|/.test(line))).toEqual([])
  })
})

describe.each(documents)('%s', (page) => {
  const text = read(page)

  test('names only metrics that exist', () => {
    const known = new Set(families.map(({ name }) => name))
    const named = text.match(/ephemeral_port_[a-z_]*[a-z]/g) ?? []
    expect(named.filter((name) => !known.has(name))).toEqual([])
  })

  test('names only flags that exist', () => {
    const known = new Set<string>(optionNames)
    const flags = [...text.matchAll(/`--(?:no-|\[no-\])?([a-z.-]+[a-z])/g)].map(
      ([, flag = '']) => flag,
    )
    const others = [
      'collector',
      'max-semi-space-size',
      'optimize-for-size',
      'network',
      'profile',
      'read-only',
      ...CURL_FLAGS,
    ]
    expect(flags.filter((flag) => !known.has(flag) && !others.includes(flag))).toEqual([])
  })
})

test('every page is reached from README', () => {
  const reached = new Set<string>()
  const reach = (page: string): void => {
    if (reached.has(page)) return
    reached.add(page)
    for (const { path } of listLinks(page, read(page))) if (path.endsWith('.md')) reach(path)
  }
  reach('README.md')
  expect(documents.filter((page) => !reached.has(page))).toEqual([])
})

test('anchors are found as GitHub makes them', () => {
  const text = '# TIME_WAIT\n\n## A `b` (c), d-e\n\n```\n# no\n```\n\n## Same\n\n## Same\n'
  expect([...listAnchors(text)]).toEqual(['time_wait', 'a-b-c-d-e', 'same', 'same-1'])
})
