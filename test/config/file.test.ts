import { describe, expect, test } from 'vitest'
import { parseConfigFile } from '../../src/config/file.ts'

function parse(text: string) {
  return parseConfigFile(text, 'e.yaml')
}

async function textsOf(text: string) {
  return (await parse(text)).given.map(({ name, texts }) => [name, ...texts])
}

describe('parseConfigFile()', () => {
  test('reads flat and nested keys, mixed, as the text they are written as', async () => {
    const text = `
# a comment
sample.interval: 1m30s
log:
  level: warn
web: {disable-exporter-metrics: true, listen-address: [":1", ":2"]}
top: 010
`
    expect(await textsOf(text)).toStrictEqual([
      ['sample.interval', '1m30s'],
      ['log.level', 'warn'],
      ['web.disable-exporter-metrics', 'true'],
      ['web.listen-address', ':1', ':2'],
      ['top', '010'],
    ])
  })

  test('reads netns as an option and as a group, whichever it is', async () => {
    expect(await textsOf('netns: self\nnetns.max: 7')).toStrictEqual([
      ['netns', 'self'],
      ['netns.max', '7'],
    ])
    expect(await textsOf('netns: {max: 7}')).toStrictEqual([['netns.max', '7']])
    expect((await parse('netns: [all]')).problems).toHaveLength(1)
  })

  test.each(['', '# nothing\n', '---\n', '{}'])('finds nothing in %j', async (text) => {
    expect(await parse(text)).toStrictEqual({ given: [], problems: [] })
  })

  test('says of each value on which line it stands', async () => {
    const { given } = await parse('\n\ntop: 1\nlog:\n\n  level: info\n')
    expect(given.map(({ origin }) => origin)).toStrictEqual([
      'top (e.yaml:3)',
      'log.level (e.yaml:6)',
    ])
  })

  test.each([
    ['top: 1\nlog: {level: info', 'Cannot parse e.yaml:2: '],
    ['a: b: c', 'Cannot parse e.yaml:1: '],
    ['top: 1\ntop: 2', 'Cannot parse e.yaml:2: Map keys must be unique'],
    ['top: 1\n---\ntop: 2', 'Cannot parse e.yaml:2: Source contains multiple documents'],
    ['web.listen-address: [::1]:80', 'Cannot parse e.yaml:1: '],
    ['just words', 'Cannot use e.yaml:1: expected options as "name: value"'],
    ['- top: 1', 'Cannot use e.yaml:1: expected options as "name: value"'],
    ['\ntpo: 1', 'Unknown key "tpo" (e.yaml:2): did you mean top?'],
    ['web:\n  interval: 5s', 'Unknown key "web.interval" (e.yaml:2): see --help for what exists'],
    ['? [a]\n: 1', 'Unknown key "?" (e.yaml:1): see --help for what exists'],
    ['<<: 1', 'Unknown key "<<" (e.yaml:1): see --help for what exists'],
    ['"<<": {top: 1}', 'Unknown key "<<" (e.yaml:1): see --help for what exists'],
    ['log: info', 'Cannot use log (e.yaml:1): expected a group of options, log.level, log.format'],
    ['top: {least: 1}', 'Cannot use top (e.yaml:1): expected a whole number from 1 to 1000'],
    ['top: [1]', 'Cannot use top (e.yaml:1): expected a whole number from 1 to 1000'],
    ['top: *n', 'Cannot use top (e.yaml:1): expected a whole number from 1 to 1000'],
    ['web.listen-address: []', 'Cannot use web.listen-address (e.yaml:1): expected host:port'],
    [
      'web.listen-address: [[":1"]]',
      'Cannot use web.listen-address (e.yaml:1): expected host:port',
    ],
    [
      'log.level: info\nlog: {level: warn}',
      'Cannot use log.level (e.yaml:2): log.level (e.yaml:1) sets it already',
    ],
    ['config.file: other.yaml', 'Cannot use config.file (e.yaml:1): a file cannot set it'],
    ['help: true', 'Cannot use help (e.yaml:1): a file cannot set it'],
  ])('says of %j what is wrong, and where', async (text, start) => {
    const { problems } = await parse(text)
    expect(problems).toHaveLength(1)
    expect(problems[0]?.slice(0, start.length)).toBe(start)
  })

  test('survives nesting that is deeper than any stack', async () => {
    const { problems } = await parse('{web: '.repeat(50_000))
    expect(problems.length).toBeGreaterThan(0)
    expect(problems[0]).toMatch(/^Cannot parse e\.yaml/)
  })

  test('does not follow an alias into itself', async () => {
    expect((await parse('web: &w {web: *w}')).problems).toHaveLength(1)
  })
})
