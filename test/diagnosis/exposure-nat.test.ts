import { describe, expect, test } from 'vitest'
import { diagnose } from '../../src/diagnosis/diagnose.ts'
import type { NatRangeRow, NatState, NetnsKind } from '../../src/snapshot.ts'
import { buildNamespace, buildPool, buildSnapshot, linux } from '../support/render/cli-snapshot.ts'

const NAT = '203.0.113.7'
const range = (part: Partial<NatRangeRow> = {}): NatRangeRow => ({
  protocol: 'tcp',
  source: NAT,
  firstPort: 1024,
  lastPort: 65_535,
  origin: 'rule',
  ...part,
})

function find(part: Partial<NatState>, netnsKind: NetnsKind = 'host') {
  const nat: NatState = {
    readAtSeconds: 1_767_323_045,
    evicts: true,
    pools: [],
    failureProbabilities: [],
    destinations: [],
    clients: [],
    ranges: [],
    truncated: {},
    ...part,
  }
  const namespaces = [buildNamespace({ netns: netnsKind, netnsKind, nat })]
  return diagnose(buildSnapshot({ namespaces }), linux)
    .findings.filter(({ what }) => /NAT/.test(what))
    .map(({ severity, what, fix }) => [`${severity}: ${what}`, fix])
}

const pool = (capacityPorts: number, availablePorts: number) =>
  buildPool({
    pool: 'nat_tcp',
    capacityPorts,
    availablePorts,
    worstDestination: { source: NAT, destination: '198.51.100.9:443' },
  })

describe('checkNat()', () => {
  test('holds what is used against the range', () => {
    expect(find({ pools: [pool(1000, 501)] })).toStrictEqual([
      ['ok: no destination has half of the 1,000 TCP ports of a NAT address', ''],
    ])
    expect(find({ pools: [pool(1000, 500)] })).toStrictEqual([
      [
        `warning: 198.51.100.9:443 has 500 of the 1,000 TCP ports (50.0%) that the NAT address ${NAT} may use for it`,
        'Widen the range of ports in the rule or name none in it, or translate to more addresses.',
      ],
    ])
    const [[, widest] = []] = find({ pools: [pool(64_512, 10_000)] })
    expect(widest).toMatch(/^Translate to more addresses/)
    const [[, low] = []] = find({ pools: [pool(424, 10)], ranges: [range()] })
    expect(low).toMatch(/^Let the clients use ports from 1024 on/)
    const named = range({ firstPort: 40_000, lastPort: 40_099, origin: 'smallest_rule' })
    expect(find({ pools: [pool(424, 10)], ranges: [named] })[0]?.[1]).toMatch(/^Widen the range/)
    const empty = buildPool({ pool: 'nat_udp', capacityPorts: 64_512 })
    expect(find({ pools: [empty] })[0]?.[0]).toContain('64,512 UDP ports')
  })

  test('says once where a range was assumed, and how to say which it is', () => {
    const assumed = { firstPort: 40_000, lastPort: 40_099, origin: 'smallest_rule' } as const
    const what = `note: the port range of the NAT address ${NAT} is assumed to be 40000-40099`
    const fix = `Where another range applies, say so: --nat.port-range=${NAT}=FIRST-LAST`
    const ranges = [range(assumed), range({ ...assumed, protocol: 'udp' })]
    expect(find({ ranges }, 'pod')).toStrictEqual([[what, fix]])
    expect(find({ ranges: [range({ origin: 'default' })] })).toHaveLength(1)
    expect(find({ ranges: [range(), range({ origin: 'option' })] })).toStrictEqual([])
  })

  test('finds NodePorts in a range that somebody chose, on a node', () => {
    const chosen = { firstPort: 20_000, lastPort: 39_999 }
    const ranges = [range(chosen), range({ ...chosen, protocol: 'udp' })]
    expect(find({ ranges })).toStrictEqual([
      [
        `note: the range 20000-39999 of the NAT address ${NAT} hands out ports of 30000-32767, which are the NodePorts of Kubernetes`,
        'On a node of Kubernetes, let the rule name ports outside of them.',
      ],
    ])
    expect(find({ ranges }, 'pod')).toStrictEqual([])
    expect(find({ ranges: [range({ firstPort: 32_768 })] })).toStrictEqual([])
    expect(find({ ranges: [range()] })).toStrictEqual([])
  })
})
