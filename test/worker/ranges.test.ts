import { describe, expect, test } from 'vitest'
import type { PortSettings, SpecSettings } from '../../src/namespaces/namespaces.ts'
import { type RangeOrigin, SourceError } from '../../src/observation.ts'
import type { Pod } from '../../src/sample.ts'
import { createRangeWatch } from '../../src/worker/ranges.ts'
import { startWatching } from '../../src/worker/watched.ts'
import { buildNetNamespace } from '../support/netns/net-namespace.ts'
import { buildState } from '../support/render/cli-snapshot.ts'

const SPEC = { range: { first: 40_000, last: 40_099 } }
const { firstPort, lastPort } = buildState().settings
const known: PortSettings = { range: { first: firstPort, last: lastPort }, reservedText: '8080' }
const permission = new SourceError('permission', 'Cannot enter')
const pod: Pod = {
  uid: 'a',
  namespace: 'b',
  name: 'c',
  portRange: '40000 40099',
  reservedPorts: undefined,
  containers: {},
  addresses: [],
}

/** One namespace whose settings may be looked at, or give that error; a pod's spec says the other. */
function watch(
  seen: PortSettings | Error | undefined,
  { inSpec, rangeOrigin = 'sysctl', of }: Partial<Situation> = {},
) {
  const ranges = createRangeWatch({
    namespaces: {
      readPortSettings() {
        if (seen instanceof Error) throw seen
        return seen
      },
    },
    names: { specOf: () => inSpec },
    clocks: { monotonicSeconds: () => 5, cpuSeconds: () => 0 },
  })
  ranges.renewAllowance()
  const fresh = startWatching(buildNetNamespace(), 0)
  const read = startWatching(buildNetNamespace(), 0)
  read.identity.pod = of
  Object.assign(read.last, { state: buildState({ rangeOrigin }) })
  Object.assign(read.last, { ports: known })
  return {
    changed: ranges.findChanged([read]).length === 1,
    usable: ranges.countUsable(fresh),
  }
}

interface Situation {
  /** What the spec says of one that was never read. */
  readonly inSpec: SpecSettings
  readonly rangeOrigin: RangeOrigin
  /** The pod that has come to be known since the other was read. */
  readonly of: Pod
}

describe('createRangeWatch()', () => {
  const blind = { rangeOrigin: 'default', of: pod } as const
  test.each<[string, PortSettings | Error | undefined, Partial<Situation>, boolean]>([
    ['the kernel says what it said', known, {}, false],
    ['the kernel says another range', { ...known, ...SPEC }, {}, true],
    ['the kernel says another end', { ...known, range: { ...known.range, last: 9 } }, {}, true],
    ['the kernel reserves others', { ...known, reservedText: '8080-8081' }, {}, true],
    ['the kernel and not the spec is believed', known, { of: pod }, false],
    ['it may not be looked at', permission, {}, false],
    ['nobody but the spec knows', undefined, blind, true],
    ['the spec has come to be known, and nobody else may say', permission, blind, true],
    [
      'the spec says nothing',
      permission,
      { ...blind, of: { ...pod, portRange: undefined } },
      false,
    ],
    [
      'the spec reserves others',
      permission,
      { ...blind, of: { ...pod, portRange: undefined, reservedPorts: '8080' } },
      true,
    ],
    ['the namespace has gone', new SourceError('vanished', 'Cannot open'), {}, true],
  ])('%s', (_what, seen, situation, changed) => {
    expect(watch(seen, situation).changed).toBe(changed)
  })

  test('counts the ports of one that was never read, without those that are reserved', () => {
    const usable = (reservedText: string) => watch({ ...SPEC, reservedText }).usable
    expect(usable('')).toBe(100)
    expect(usable('1-40009,40099-50000')).toBe(89)
    expect(usable('1-39999')).toBe(100)
    expect(usable('plenty')).toBeUndefined()
    expect(watch(permission, { inSpec: SPEC }).usable).toBe(100)
    const reserved = [{ first: 40_000, last: 40_009 }]
    expect(watch(undefined, { inSpec: { ...SPEC, reserved } }).usable).toBe(90)
    expect(watch(permission, { inSpec: { reserved: [] } }).usable).toBeUndefined()
    expect(watch(permission).usable).toBeUndefined()
  })

  test('a fault of ours is no reason to list sockets', () => {
    expect(() => watch(new TypeError('of ours'))).toThrow('of ours')
  })

  /** CPU seconds in one sample. */
  const ALLOWED = 0.025

  /** Namespaces that are all read, seen first at 0; `at` is the time of each sample. */
  function lookAt(
    count: number,
    moments: readonly number[],
    rangeOrigin: RangeOrigin = 'sysctl',
    costOf: (id: number) => number = () => 0,
  ) {
    const seen: number[] = []
    let cpu = 0
    let now = 0
    const ranges = createRangeWatch({
      namespaces: {
        readPortSettings: ({ id }) => {
          seen.push(id)
          cpu += costOf(id)
          if (rangeOrigin !== 'sysctl') throw permission
          return known
        },
      },
      names: { specOf: () => undefined },
      clocks: { monotonicSeconds: () => now, cpuSeconds: () => cpu },
    })
    const all = Array.from({ length: count }, (_, id) => {
      const one = startWatching(buildNetNamespace({ id }), 0)
      Object.assign(one.last, { state: buildState({ rangeOrigin }) })
      Object.assign(one.last, { ports: known })
      return one
    })
    const changed = () => {
      ranges.renewAllowance()
      return ranges.findChanged(all).length
    }
    for (const moment of moments) {
      now = moment
      expect(changed()).toBe(0)
    }
    const specify = () => {
      for (const one of all) one.identity.pod = pod
    }
    return { seen, changed, specify }
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
    blind.specify()
    expect(blind.changed()).toBe(100)
    // The kernel's word counts more than the spec's.
    const seeing = lookAt(100, [60])
    seeing.specify()
    expect(seeing.changed()).toBe(0)
  })

  test('whose looks are dear leaves the others theirs, and they cost what is allowed', () => {
    const moments = Array.from({ length: 40 }, (_, at) => at)
    const { seen } = lookAt(60, moments, 'sysctl', (id) => (id < 10 ? 0.02 : 0.0001))
    const dear = seen.filter((id) => id < 10)
    const spent = dear.length * 0.02 + (seen.length - dear.length) * 0.0001
    expect(spent).toBeLessThan(ALLOWED * (moments.length + 1))
    expect(dear.length).toBeGreaterThan(40)
    for (let id = 10; id < 60; id++) {
      expect(seen.filter((one) => one === id).length).toBeGreaterThanOrEqual(4)
    }
  })

  test('takes no more first looks than leave half to the others, which they owe it to later', () => {
    let cpu = 0
    let cost = 0.001
    const ranges = createRangeWatch({
      namespaces: {
        readPortSettings: () => {
          cpu += cost
          return { ...SPEC, reservedText: '' }
        },
      },
      names: { specOf: () => undefined },
      clocks: { monotonicSeconds: () => 5, cpuSeconds: () => cpu },
    })
    const fresh = startWatching(buildNetNamespace(), 0)
    const read = startWatching(buildNetNamespace(), 0)
    Object.assign(read.last, { state: buildState() })
    const counts = () => {
      ranges.renewAllowance()
      const usable = Array.from({ length: 100 }, () => ranges.countUsable(fresh))
      return [usable.filter((ports) => ports === 100).length, ranges.findChanged([read]).length]
    }
    expect(counts()).toEqual([13, 1])
    // What one costs too much is owed by the next samples.
    cost = 0.095
    expect([counts(), counts(), counts(), counts(), counts(), counts()]).toEqual([
      [1, 0],
      [0, 0],
      [0, 0],
      [0, 1],
      [0, 0],
      [0, 0],
    ])
  })
})
