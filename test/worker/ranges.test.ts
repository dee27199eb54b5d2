import { describe, expect, test } from 'vitest'
import type { PortSettings, SpecSettings } from '../../src/namespaces/namespaces.ts'
import { type RangeOrigin, SourceError } from '../../src/observation.ts'
import { createRangeWatch } from '../../src/worker/ranges.ts'
import { startWatching } from '../../src/worker/watched.ts'
import { buildNetNamespace } from '../support/netns/net-namespace.ts'
import { buildState } from '../support/render/cli-snapshot.ts'

const SPEC = { range: { first: 40_000, last: 40_099 } }
const settings = buildState().settings
const known = {
  range: { first: settings.firstPort, last: settings.lastPort },
  reserved: settings.reservedRanges,
}
const permission = new SourceError('permission', 'Cannot enter')

/** One namespace whose settings may be looked at, or give that error; a pod's spec says the other. */
function watch(
  seen: PortSettings | Error | undefined,
  inSpec?: SpecSettings,
  rangeOrigin: RangeOrigin = 'sysctl',
) {
  const ranges = createRangeWatch({
    namespaces: {
      readPortSettings() {
        if (seen instanceof Error) throw seen
        return seen
      },
    },
    names: { specOf: () => inSpec },
    clocks: { monotonicSeconds: () => 5 },
  })
  const fresh = startWatching(buildNetNamespace(), 0)
  const read = startWatching(buildNetNamespace(), 0)
  read.last.state = buildState({ rangeOrigin })
  return {
    changed: ranges.findChanged([read]).length === 1,
    usable: ranges.countUsable(fresh),
  }
}

describe('createRangeWatch()', () => {
  test.each<[string, PortSettings | Error | undefined, SpecSettings | undefined, boolean]>([
    ['the kernel says what it said', known, undefined, false],
    ['the kernel says another range', { ...known, ...SPEC }, undefined, true],
    ['the kernel reserves others', { ...known, reserved: [SPEC.range] }, undefined, true],
    ['the kernel and not the spec is believed', known, SPEC, false],
    ['it may not be looked at', permission, undefined, false],
    ['nobody but the spec knows', undefined, SPEC, true],
    ['the spec has come to be known, and nobody else may say', permission, SPEC, true],
    ['the spec says what was read', permission, known, false],
    ['the spec reserves others', permission, { reserved: [SPEC.range] }, true],
    ['the namespace has gone', new SourceError('vanished', 'Cannot open'), undefined, true],
  ])('%s', (_what, seen, inSpec, changed) => {
    expect(watch(seen, inSpec).changed).toBe(changed)
  })

  test('counts the ports of one that was never read, without those that are reserved', () => {
    const reserved = [
      { first: 1, last: 40_009 },
      { first: 40_099, last: 50_000 },
    ]
    expect(watch({ ...SPEC, reserved: [] }).usable).toBe(100)
    expect(watch({ ...SPEC, reserved }).usable).toBe(89)
    expect(watch({ ...SPEC, reserved: [{ first: 1, last: 39_999 }] }).usable).toBe(100)
    expect(watch(permission, SPEC).usable).toBe(100)
    expect(watch(permission, { reserved: [] }).usable).toBeUndefined()
    expect(watch(permission).usable).toBeUndefined()
  })

  test('a fault of ours is no reason to list sockets', () => {
    expect(() => watch(new TypeError('of ours'))).toThrow('of ours')
  })

  /** Namespaces that are all read, seen first at 0; `at` is the time of each sample. */
  function lookAt(count: number, moments: readonly number[], rangeOrigin: RangeOrigin = 'sysctl') {
    const seen: number[] = []
    let now = 0
    let inSpec: SpecSettings | undefined
    const ranges = createRangeWatch({
      namespaces: {
        readPortSettings: ({ id }) => {
          seen.push(id)
          if (rangeOrigin !== 'sysctl') throw permission
          return known
        },
      },
      names: { specOf: () => inSpec },
      clocks: { monotonicSeconds: () => now },
    })
    const all = Array.from({ length: count }, (_, id) => {
      const one = startWatching(buildNetNamespace({ id }), 0)
      one.last.state = buildState({ rangeOrigin })
      return one
    })
    const changed = () => ranges.findChanged(all).length
    for (const moment of moments) {
      now = moment
      expect(changed()).toBe(0)
    }
    return { seen, changed, specify: (spec: SpecSettings) => (inSpec = spec) }
  }

  test('looks at all that are new in each sample', () => {
    expect(lookAt(100, [0, 59]).seen).toHaveLength(200)
  })

  test('looks at forty of the others, each in its turn', () => {
    const { seen } = lookAt(80, [60, 65, 70, 75])
    expect(seen).toHaveLength(160)
    for (let id = 0; id < 80; id++) expect(seen.filter((one) => one === id)).toHaveLength(2)
  })

  test('compares the specs of all in each sample, where nothing else tells the range', () => {
    const blind = lookAt(100, [60], 'default')
    blind.specify(SPEC)
    expect(blind.changed()).toBe(100)
    // The kernel's word counts more than the spec's.
    const seeing = lookAt(100, [60])
    seeing.specify(SPEC)
    expect(seeing.changed()).toBe(0)
  })
})
