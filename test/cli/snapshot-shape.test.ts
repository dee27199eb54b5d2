import { expect, test } from 'vitest'
import { renderReport } from '../../src/cli/report.ts'
import { isSnapshot } from '../../src/cli/snapshot-shape.ts'
import { plainText } from '../../src/cli/text.ts'
import { diagnose } from '../../src/diagnosis/diagnose.ts'
import { sampleSnapshot } from '../support/render/sample-snapshot.ts'

type Node = Record<string, unknown>
type Leaf = { readonly holder: (root: Node) => Node; readonly key: string; readonly value: unknown }

const plain: Node = JSON.parse(JSON.stringify(sampleSnapshot))
const leaves = listLeaves(plain)

/** Everything below, the objects and lists as well. */
function listLeaves(node: Node, holder: Leaf['holder'] = (root) => root): readonly Leaf[] {
  return Object.entries(node).flatMap(([key, value]) => [
    { holder, key, value },
    ...(typeof value === 'object' && value !== null
      ? listLeaves(value as Node, (root) => holder(root)[key] as Node)
      : []),
  ])
}

/** The same with another value in one place. */
function replace({ holder, key }: Leaf, value: unknown): unknown {
  const copy = structuredClone(plain)
  holder(copy)[key] = value
  return copy
}

const evil = `1]" ]; touch /tmp/x; [ "x`

test('takes a Snapshot that has been JSON', () => {
  expect(leaves.length).toBeGreaterThan(300)
  expect(isSnapshot(plain)).toBe(true)
})

test('takes no text for a number, nor for anything else but a text', () => {
  for (const leaf of leaves) {
    if (typeof leaf.value === 'string') continue
    expect(isSnapshot(replace(leaf, evil)), leaf.key).toBe(false)
  }
})

test.each<unknown>([
  null,
  Infinity,
  true,
  7,
  -7,
  0.5,
  1e308,
  -1e308,
  Number.MAX_SAFE_INTEGER,
  [],
  {},
  [{}],
  [null],
  { toString: 1 },
  'what it is not',
])('takes %j nowhere that the command line stumbles over it', (value) => {
  for (const leaf of leaves) {
    const changed = replace(leaf, value)
    if (!isSnapshot(changed)) continue
    const diagnosis = diagnose(changed, { platform: 'linux', listenPorts: [10_132] })
    for (const command of ['status', 'doctor'] as const) {
      const view = { snapshot: changed, diagnosis, origin: 'from a stranger' }
      const text = renderReport({ command, json: false }, view, plainText)
      expect(text, leaf.key).not.toMatch(/undefined|NaN|\[object|Infinity/)
    }
  }
})

test.each<unknown>([undefined, null, 7, 'x', [], {}, { namespaces: 5 }])('takes no %j', (value) => {
  expect(isSnapshot(value)).toBe(false)
})
