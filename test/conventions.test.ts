// What keeps files findable, and what stands in one of them alone.

import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readers } from '../src/observation.ts'

const root = join(import.meta.dirname, '..')
const src = join(root, 'src')
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
)
const textOf = (file: string) => readFileSync(join(src, file), 'utf8')
/** Without comments. */
const codeOf = (file: string) => textOf(file).replace(/\/\/.*|\/\*[\s\S]*?\*\//g, '')

describe('conventions', () => {
  test('nobody asks a reader for its name: a source says what it can do', () => {
    const name = `['"\`](${readers.join('|')})['"\`]`
    const asks = new RegExp(
      `[=!]==?\\s*${name}|${name}\\s*[=!]==?|case ${name}|includes\\(${name}|switch \\([^)]*\\breader\\)|\\breader\\)?\\s*[=!]==?\\s*['"\`]`,
    )
    expect("if (state?.reader === 'netlink')").toMatch(asks)
    expect(files.filter((file) => asks.test(codeOf(file)))).toEqual([])
  })

  test('a setting of the sampling thread is declared once', () => {
    const [, settings = ''] =
      /interface SamplingSettings \{(.*?)\n\}/s.exec(textOf('settings.ts')) ?? []
    const names = [...settings.matchAll(/^ {2}readonly (\w+)/gm)].map(([, name = '']) => name)
    expect(names).toContain('peakWindowSeconds')
    // These are words of their own: a source, the top rows, and a /proc that is handed on.
    const own = names.filter((name) => !/^(source|top|procfs|cgroup|tracefs)$/.test(name))
    const declared = own.flatMap((name) =>
      files.filter((file) =>
        new RegExp(`\\b${name}\\??: (?!settings)[A-Za-z]+$`, 'm').test(textOf(file)),
      ),
    )
    // The page shows the horizon.
    expect([...new Set(declared)]).toEqual(['settings.ts', 'snapshot.ts'])
    const option = files.filter((file) => /(interface|type) NatRangeOption\b/.test(textOf(file)))
    expect(option).toEqual(['settings.ts'])
  })

  test.each<[what: string, sign: RegExp, files: readonly string[]]>([
    ['the code of an error', /'code' in error/, ['error-code.ts']],
    ['joining ranges of ports', /before\.last \+ 1/, ['port-ranges.ts']],
    ['comparing two ranges', /\.first === \w+\.first/, ['port-ranges.ts']],
    ['whether a namespace could be read', /function hasState/, ['snapshot.ts']],
    ['staying in a top N', /\boutside \+ 1/, ['model/sticky.ts']],
    ['naming a leader', /\[1\] \+ margin/, ['model/shares.ts']],
    ['shortening the id of a container', /SHORT_ID_DIGITS/, ['owners/cgroup-path.ts']],
    ['the search of a NAT for a port', /evicting_?tries:? =? ?32/i, ['snapshot-nat.ts']],
    ['the text of /proc/net', /rem_address|local_address\\s/, ['kernel/proc-net.ts']],
  ])('%s is written once', (_what, sign, where) => {
    const found = files.filter((file) => sign.test(textOf(file)))
    expect(found.toSorted()).toEqual(where.toSorted())
  })

  test('one word stands for one thing', () => {
    const other: readonly (readonly [word: RegExp, instead: string])[] = [
      [/\b(Place|findOwnPlace|_place|place(?=\.(own|netns|kind)))\b/, 'namespace'],
      [/\b(last\.failure|judgeFailure|ReadFailure)\b/, 'ReadError'],
    ]
    const found = other.flatMap(([word, instead]) =>
      files.filter((file) => word.test(codeOf(file))).map((file) => `${file}: ${instead}`),
    )
    expect(found).toEqual([])
  })

  test('a helper that one file of tests uses lies beside that file', () => {
    const listed = ['test', 'grafana', 'deploy'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => /\.ts$|tsconfig\.json$/.test(name) && !name.includes('node_modules'))
        .map((name) => join(folder, name)),
    )
    const texts = new Map(
      [...listed, 'vitest.config.ts'].map((name) => [name, readFileSync(join(root, name), 'utf8')]),
    )
    const far = listed
      .filter((name) => name.startsWith('test/support/') && name.endsWith('.ts'))
      .map((name) => {
        const mention = new RegExp(`['"\`/]${basename(name).replace('.', '\\.')}['"\`]`)
        const users = [...texts].filter(([user, text]) => user !== name && mention.test(text))
        return { name, users: users.map(([user]) => user) }
      })
      // Vitest's own configuration lies at the root.
      .filter(
        ({ users: [user = '', ...others] }) => others.length === 0 && user !== 'vitest.config.ts',
      )
      .filter(({ name, users: [user = ''] }) => dirname(user) !== dirname(name))
    expect(far).toEqual([])
  })

  test('no file is too long to read', () => {
    const tests = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))
      .map((name) => join('test', name))
    const long = [...files.map((name) => join('src', name)), ...tests]
      .map((name) => ({
        name,
        lines: readFileSync(join(root, name), 'utf8').split('\n').length - 1,
      }))
      .filter(({ lines }) => lines > 300)
    expect(long).toEqual([])
  })

  test('names say what a file is', () => {
    const vague = files.filter((file) =>
      /(^|\/)(index|utils?|types|common|constants|helpers?)\.ts$/.test(file),
    )
    expect(vague).toEqual([])
    const defaults = files.filter((file) => /^export default/m.test(textOf(file)))
    expect(defaults).toEqual([])
  })

  test('every file opens with what it is', () => {
    const silent = files.filter((file) => !/^(#!.*\n)?\/\/ \S/.test(textOf(file)))
    expect(silent).toEqual([])
  })
})
