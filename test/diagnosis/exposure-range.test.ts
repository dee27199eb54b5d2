import { describe, expect, test } from 'vitest'
import { diagnose } from '../../src/diagnosis/diagnose.ts'
import { planRange } from '../../src/diagnosis/range-plan.ts'
import type { NamespaceState, NetnsKind, Settings } from '../../src/snapshot.ts'
import {
  buildHost,
  buildNamespace,
  buildSettings,
  buildSnapshot,
  buildState,
  buildUse,
  findAll,
  findBySettings,
  inHost,
  linux,
} from '../support/render/cli-snapshot.ts'

/** Adds to what is reserved when it runs. */
function append(ports: string): string {
  const name = 'net.ipv4.ip_local_reserved_ports'
  return `r=$(sysctl -n ${name}) && sysctl -w ${name}="\${r:+$r,}${ports}"`
}

function stateOfListeners(listeners: NamespaceState['listeners'], count = listeners.length) {
  return { listeners, protocols: [buildUse({ listeners: count }), buildUse({ protocol: 'udp' })] }
}

/** Of small ranges what is said of UDP ports as well. */
const besidesUdp = (found: readonly (readonly string[])[]) =>
  found.filter(([what]) => !what?.includes('UDP socket'))

describe('checkRange()', () => {
  test('tells a small range from a usual one', () => {
    expect(findBySettings({ firstPort: 32_769, lastPort: 60_998 })).toStrictEqual([
      [
        'warning: the port range 32769-60998 has 28230 ports, fewer than the usual 28232',
        inHost('sysctl -w net.ipv4.ip_local_port_range="32768 60999"'),
      ],
    ])
    expect(findBySettings({ firstPort: 32_768, lastPort: 65_535 })).toStrictEqual([])
  })

  test('finds an odd range and makes it even', () => {
    expect(findBySettings({ firstPort: 33_000, lastPort: 65_000 })).toStrictEqual([
      [
        'note: the port range 33000-65000 has an odd number of ports',
        inHost('sysctl -w net.ipv4.ip_local_port_range="33000 64999"'),
      ],
    ])
  })

  test('knows that a range of 3 loses a port for good and a range of 1 does not', () => {
    expect(besidesUdp(findBySettings({ firstPort: 5000, lastPort: 5002 }))).toStrictEqual([
      [
        'warning: of the 3 ports 5000-5002 TCP never uses the last',
        inHost('sysctl -w net.ipv4.ip_local_port_range="32768 60999"'),
      ],
    ])
    expect(findBySettings({ firstPort: 5000, lastPort: 5000 })[0]?.[0]).toContain('has 1 ports')
  })

  test('judges the range of other systems by their own default and gives no Linux commands', () => {
    const facts = { ...linux, platform: 'darwin' }
    expect(findBySettings({ firstPort: 49_152, lastPort: 65_535 }, facts)).toStrictEqual([])
    expect(
      besidesUdp(findBySettings({ firstPort: 60_000, lastPort: 60_100 }, facts)),
    ).toStrictEqual([
      ['warning: the port range 60000-60100 has 101 ports, fewer than the usual 16384'],
    ])
  })

  test('says when the range is only assumed', () => {
    expect(findAll({ rangeOrigin: 'default' })).toStrictEqual([
      ['note: the port range is unknown, 32768-60999 is assumed'],
    ])
  })
})

describe('checkListeners()', () => {
  test('reserves listeners together with all that is reserved already', () => {
    const state = stateOfListeners([
      { protocol: 'tcp', port: 40_001, owner: 'b' },
      { protocol: 'udp', port: 40_000, owner: 'a' },
      { protocol: 'tcp', port: 40_000, owner: 'a' },
    ])
    const reservedRanges = [
      { first: 8080, last: 8080 },
      { first: 40_002, last: 40_010 },
    ]
    const settings = buildSettings({ reservedPorts: 9, reservedRanges })
    expect(findAll({ ...state, settings })).toStrictEqual([
      [
        'warning: 3 ports are listened on inside 32768-60999 and not reserved',
        inHost(append('40000-40001')),
      ],
    ])
  })

  test('appends to a list that it could not read', () => {
    const state = stateOfListeners([{ protocol: 'tcp', port: 40_000, owner: 'a' }])
    expect(findAll({ ...state, rangeOrigin: 'default' })).toStrictEqual([
      [
        'warning: 1 port is listened on inside 32768-60999 and not reserved',
        inHost(append('40000')),
      ],
      ['note: the port range is unknown, 32768-60999 is assumed'],
    ])
  })

  test('asks ss for the listeners that have no name here', () => {
    expect(findAll(stateOfListeners([], 2))).toStrictEqual([
      [
        'warning: 2 ports are listened on inside 32768-60999 and not reserved',
        inHost('ss -Htulnp "sport >= :32768 and sport <= :60999"'),
      ],
    ])
  })

  test('says nothing of listeners where they cannot be told', () => {
    const protocols = [buildUse({ listeners: undefined })]
    const findings = diagnose(buildHost({ protocols }), linux).findings
    expect(findings.filter(({ what }) => what.includes('listen'))).toStrictEqual([])
  })
})

describe('checkOwnPorts()', () => {
  test("finds the exporter's own port inside the range", () => {
    const facts = { ...linux, listenPorts: [40_000, 10_132] }
    expect(findAll({}, facts)).toStrictEqual([
      [
        "warning: the exporter's own port 40000 is inside 32768-60999 and not reserved",
        inHost(append('40000')),
      ],
    ])
    const reservedRanges = [{ first: 40_000, last: 40_000 }]
    expect(findBySettings({ reservedPorts: 1, reservedRanges }, facts)).toStrictEqual([])
  })

  test('says nothing of a port of which the Snapshot does not tell whether it is reserved', () => {
    const facts = { ...linux, listenPorts: [39_000, 40_000] }
    const reservedRanges = [{ first: 39_500, last: 39_500 }]
    const left = { reservedPorts: 2, reservedRanges, reservedRangesLeftOut: 1 }
    expect(findBySettings(left, facts).map(([what]) => what)).toStrictEqual([
      "warning: the exporter's own port 39000 is inside 32768-60999 and not reserved",
    ])
  })

  test('is less sure of its own port where reservations are not known', () => {
    const facts = { ...linux, listenPorts: [40_000] }
    expect(findAll({ rangeOrigin: 'default' }, facts)[0]?.[0]).toBe(
      "note: the exporter's own port 40000 is inside 32768-60999 and may not be reserved",
    )
  })
})

describe('checkNodePorts()', () => {
  const range = { firstPort: 16_384, lastPort: 65_535 }
  const nodePorts = (settings: Partial<Settings>, kinds: readonly NetnsKind[] = ['host']) => {
    const state = buildState({ settings: buildSettings({ ...range, ...settings }) })
    const namespaces = kinds.map((netnsKind) =>
      buildNamespace({ netns: netnsKind, netnsKind, state }),
    )
    return diagnose(buildSnapshot({ namespaces }), linux)
      .findings.filter(({ what }) => what.includes('NodePorts'))
      .map(({ severity, namespaces: of, commands }) => [severity, ...of, ...commands])
  }

  test('says that the range hands out NodePorts, and how to reserve them', () => {
    expect(nodePorts({})).toEqual([['note', 'host', inHost(append('30000-32767'))]])
  })

  test('warns where there are pods, and of the host alone', () => {
    expect(nodePorts({}, ['host', 'pod']).map(([severity, ...of]) => [severity, of[0]])).toEqual([
      ['warning', 'host'],
    ])
  })

  test('is content once all of them are reserved', () => {
    expect(nodePorts({ reservedRanges: [{ first: 30_000, last: 32_767 }] })).toEqual([])
    const all = [{ first: 30_000, last: 32_766 }]
    expect(nodePorts({ reservedRanges: all })).toHaveLength(1)
    // What the Snapshot leaves out may be the last one.
    expect(nodePorts({ reservedRanges: all, reservedRangesLeftOut: 1 })).toEqual([])
  })
})

test('planRange() proposes no range while the Snapshot does not tell all that is reserved in it', () => {
  const plan = (reservedRangesLeftOut: number) => {
    const reservedRanges = [{ first: 32_768, last: 32_777 }]
    const settings = { firstPort: 40_000, lastPort: 40_099, reservedRanges, reservedRangesLeftOut }
    return planRange(buildNamespace(), buildState({ settings: buildSettings(settings) }))
  }
  expect(plan(0)?.usablePorts).toBe(28_222)
  expect(plan(1)).toBeUndefined()
})
