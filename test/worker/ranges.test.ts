import { describe, expect, test } from 'vitest'
import type { PortRange } from '../../src/observation.ts'
import { SourceError } from '../../src/observation.ts'
import { createRangeWatch } from '../../src/worker/ranges.ts'
import { startWatching } from '../../src/worker/watched.ts'
import { buildNetNamespace } from '../support/netns/net-namespace.ts'
import { buildState } from '../support/render/cli-snapshot.ts'

const SPEC = { first: 40_000, last: 40_099 }
const settings = buildState().settings
const known: PortRange = { first: settings.firstPort, last: settings.lastPort }
const permission = new SourceError('permission', 'Cannot enter')

/** One namespace whose range may be looked at, or gives that error; a pod's spec says the other. */
function watch(seen: PortRange | Error | undefined, inSpec?: PortRange) {
  const ranges = createRangeWatch({
    namespaces: {
      readRange() {
        if (seen instanceof Error) throw seen
        return seen
      },
    },
    names: { specOf: () => inSpec && { range: inSpec } },
    clocks: { monotonicSeconds: () => 5 },
  })
  const fresh = startWatching(buildNetNamespace(), 0)
  const read = startWatching(buildNetNamespace(), 0)
  read.last.state = buildState()
  return {
    changed: ranges.findChanged([read]).length === 1,
    usable: ranges.countUsable(fresh),
  }
}

describe('createRangeWatch()', () => {
  test.each<[string, PortRange | Error | undefined, PortRange | undefined, boolean]>([
    ['the kernel says what it said', known, undefined, false],
    ['the kernel says another', SPEC, undefined, true],
    ['the kernel and not the spec is believed', known, SPEC, false],
    ['it may not be looked at', permission, undefined, false],
    ['nobody but the spec knows', undefined, SPEC, true],
    ['the spec has come to be known, and nobody else may say', permission, SPEC, true],
    ['the spec says what was read', permission, known, false],
    ['the namespace has gone', new SourceError('vanished', 'Cannot open'), undefined, true],
  ])('%s', (_what, seen, inSpec, changed) => {
    expect(watch(seen, inSpec).changed).toBe(changed)
  })

  test('counts the ports of one that was never read', () => {
    expect(watch(SPEC).usable).toBe(100)
    expect(watch(permission, SPEC).usable).toBe(100)
    expect(watch(permission).usable).toBeUndefined()
  })

  test('a fault of ours is no reason to list sockets', () => {
    expect(() => watch(new TypeError('of ours'))).toThrow('of ours')
  })

  test('looks at ten in a sample, each in its turn', () => {
    const seen: number[] = []
    let now = 0
    const ranges = createRangeWatch({
      namespaces: {
        readRange: ({ id }) => {
          seen.push(id)
          return known
        },
      },
      names: { specOf: () => undefined },
      clocks: { monotonicSeconds: () => ++now },
    })
    const all = Array.from({ length: 20 }, (_, id) => {
      const one = startWatching(buildNetNamespace({ id }), 0)
      one.last.state = buildState()
      return one
    })
    for (let sample = 0; sample < 4; sample++) expect(ranges.findChanged(all)).toEqual([])
    expect(seen).toHaveLength(40)
    expect(
      all.every(
        ({
          identity: {
            namespace: { id },
          },
        }) => seen.filter((one) => one === id).length === 2,
      ),
    ).toBe(true)
  })
})
