import { describe, expect, test } from 'vitest'
import { parseYamlTree, type Tree } from '../../src/config/yaml-tree.ts'
import { cpuMsOf } from '../support/program/cpu-time.ts'

/** The tree as plain values, or its problems. */
function read(text: string): unknown {
  const parsed = parseYamlTree(text, 'e.yaml')
  return 'problems' in parsed ? parsed.problems : plain(parsed.tree)
}

function plain(tree: Tree): unknown {
  if (tree.kind === 'list') return tree.items.map(plain)
  if (tree.kind === 'map')
    return Object.fromEntries(tree.fields.map(({ name, value }) => [name, plain(value)]))
  return tree.kind === 'text' ? tree.text : tree.kind
}

describe('parseYamlTree()', () => {
  test.each(['~', 'null', 'Null', 'NULL', ''])(
    'takes %j for nothing, unless it is quoted',
    (word) => {
      expect(read(`a: ${word}\nb: "${word}"`)).toEqual({ a: '', b: word })
      expect(read(`${word}\n`)).toBe('')
    },
  )

  test('takes an alias for what its anchor marks, the last one before it', () => {
    expect(read('a: &x 1\nb: *x\nc: &x [2, *x]\nd: *x')).toEqual({
      ...{ a: '1', b: '1', c: ['2', ['2', 'other']], d: ['2', 'other'] },
    })
    expect(read('a: &x b\n*x : 1')).toEqual({ a: 'b', b: '1' })
    expect(read('a: *none')).toEqual({ a: 'other' })
  })

  test('merges what a map has not itself, the first one first', () => {
    expect(read('a: &x {p: 1, q: 1}\nb: {<<: *x, q: 2, r: 2}')).toEqual({
      ...{ a: { p: '1', q: '1' }, b: { p: '1', q: '2', r: '2' } },
    })
    expect(read('a: {p: 0, <<: [{p: 1, q: 1}, {q: 2, r: 2}]}')).toEqual({
      a: { p: '0', q: '1', r: '2' },
    })
    expect(read('a: {<<: {<<: {p: 1}}}\nb: {<<: {}}')).toEqual({ a: { p: '1' }, b: {} })
    expect(read('a: {<<: x}\nb: {<<: [{}, x]}\nc: {"<<": {p: 1}}')).toEqual({
      ...{ a: { '<<': 'x' }, b: { '<<': [{}, 'x'] }, c: { '<<': { p: '1' } } },
    })
  })

  test('survives aliases that stand for billions, and one that stands for itself', () => {
    const levels = Array.from(
      { length: 30 },
      (_, at) => `a${at + 1}: &a${at + 1} [*a${at}, *a${at}]`,
    )
    const bomb = ['a0: &a0 x', ...levels].join('\n')
    const many = `a: &a [${'x, '.repeat(5000)}]\n${Array.from({ length: 5000 }, (_, at) => `b${at}: *a`).join('\n')}`
    for (const text of [bomb, many, bomb.replaceAll(/\[(.*), (.*)\]/g, '{<<: [$1], p: $2}')]) {
      const ms = cpuMsOf(() => expect(read(text)).toEqual([expect.stringMatching(/stand for too/)]))
      // They take a second; what they stand for would take years.
      expect(ms).toBeLessThan(20_000)
    }
    expect(read('a: &x [*x]')).toEqual({ a: [['other']] })
  })

  test('names the line that something stands in, also behind an alias', () => {
    const parsed = parseYamlTree('a: &x\n  p: 1\nb: *x\n', 'e.yaml')
    const fields = 'tree' in parsed && parsed.tree.kind === 'map' ? parsed.tree.fields : []
    const [, b] = fields
    expect(b).toMatchObject({ where: 'e.yaml:3', value: { fields: [{ where: 'e.yaml:2' }] } })
  })
})
