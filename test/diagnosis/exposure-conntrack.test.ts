import { describe, expect, test } from 'vitest'
import { diagnose } from '../../src/diagnosis/diagnose.ts'
import type { NatRangeRow } from '../../src/snapshot.ts'
import { buildNamespace, buildSnapshot, linux } from '../support/render/cli-snapshot.ts'
import { aged, COUNTS, dropped, type Grown, listing, look } from './conntrack-course.ts'

describe('checkConntrack()', () => {
  test('says nothing where nothing was dropped, and nothing of a first sample', () => {
    expect(look({ nat: listing(0) }).found).toEqual([])
    expect(look({}).found).toEqual([])
    const first = buildSnapshot({ namespaces: [buildNamespace({ conntrack: COUNTS })] })
    expect(diagnose(first, linux).findings.filter(({ what }) => /dropped/.test(what))).toEqual([])
  })

  test('says nothing where a counter has begun anew', () => {
    expect(look({ counts: { insertFailed: 5, collisions: -1 } }).found).toEqual([])
    expect(look({ counts: { insertFailed: -5 } }).found).toEqual([])
  })

  test('calls drops races only where two listings know no pool that fails and searches met too few ports', () => {
    const race = { counts: { insertFailed: 3, collisions: 2 }, nat: listing(0) }
    const ranged = (
      lastPort: number,
      collisions: number,
      origin: NatRangeRow['origin'] = 'rule',
    ) => {
      const [range] = listing(0).ranges
      const ranges =
        range === undefined ? [] : [range, { ...range, firstPort: 1, lastPort, origin }]
      const counts = { insertFailed: 3, collisions }
      return look({ counts, nat: { ...listing(0), ranges } }).found[0]
    }
    expect(ranged(129, 383)).toMatch(/raced for NAT ports$/)
    expect(ranged(129, 384)).toMatch(/or no port was found$/)
    expect(ranged(128, 287)).toMatch(/raced for NAT ports$/)
    expect(ranged(128, 288)).toMatch(/or no port was found$/)
    expect(ranged(32, 0)).toMatch(/or a range of at most 32 ports is full$/)
    expect(ranged(33, 0)).toMatch(/raced for NAT ports$/)
    for (const origin of ['default', 'smallest_rule'] as const) {
      expect(ranged(65_000, 0, origin)).toMatch(/or a range of at most 32 ports is full$/)
    }
    expect(ranged(65_000, 0, 'option')).toMatch(/raced for NAT ports$/)
    const cut = { ...listing(0), truncated: { ephemeral_port_nat_range_info: 1 } }
    expect(look({ ...race, nat: cut }).found[0]).toMatch(/at most 32 ports is full$/)
    const uncut = { nat: listing(0), natBefore: aged(cut, 5) }
    expect(look({ ...race, ...uncut }).found[0]).toMatch(/at most 32 ports is full$/)
    expect(look(race)).toMatchObject({ severity: 'ok', found: dropped(3, 'threads raced for NAT') })
    expect(look(race).found[0]).toMatch(/^note.*ports$/)
    const ambiguous = dropped(3, 'threads raced for NAT ports, or a range of at most 32 ports')
    expect(look({ ...race, facts: { translatesIpv6: true } }).found).toEqual(
      expect.arrayContaining(ambiguous),
    )
    expect(look({ ...race, facts: { translatesIpv6: undefined } }).found).toEqual(ambiguous)
    expect(look({ counts: race.counts }).found).toEqual(ambiguous)
    const where = ', at worst to 198.51.100.9:443 from 203.0.113.7'
    expect(look({ ...race, nat: listing(1), natBefore: aged(listing(1), 5) }).found).toEqual(
      dropped(3, `no NAT port was found for them${where}`),
    )
    // What the listing shows now is not where it was full then.
    const [before] = look({ ...race, nat: listing(0.9), natBefore: aged(listing(1), 5) }).found
    expect(before).toMatch(/^critical.*no NAT port was found for them$/)
    const counts = { insertFailed: 3, collisions: 384 }
    expect(look({ counts, nat: listing(0) }).found).toEqual(
      dropped(3, 'threads raced for NAT ports, or no port was found'),
    )
  })

  test('never calls a full pool a race, whether or not its searches met taken ports', () => {
    for (const collisions of [0, 900]) {
      for (const nat of [listing(0.51), listing(0, 1)]) {
        const seen = look({ counts: { insertFailed: 3, collisions }, nat })
        expect(seen).toMatchObject({ severity: 'critical', found: dropped(3, 'no NAT port') })
        expect(seen.headline).toMatch(/new connections$/)
        expect(seen.found[0]).not.toContain('raced')
      }
    }
    const filling = look({ counts: { insertFailed: 1, collisions: 900 }, nat: listing(0.5) })
    expect(filling.severity).toBe('warning')
    expect(filling.found).toEqual(dropped(1, 'no NAT port was found for them, or threads raced'))
    expect(look({ counts: { insertFailed: 1 }, nat: listing(0.01) }).severity).toBe('warning')
    expect(look({ counts: { insertFailed: 1 }, nat: listing(0.009) }).severity).toBe('ok')
  })

  test('believes two listings only where both are of this time and none is the other', () => {
    const full = { counts: { insertFailed: 3, collisions: 900 }, nat: listing(1) }
    const unclear = {
      severity: 'warning',
      found: dropped(3, 'threads raced for NAT ports, or no port was found'),
    }
    for (const seconds of [1, 30]) {
      const seen = look({ ...full, natBefore: aged(full.nat, seconds) })
      expect(seen).toMatchObject({ severity: 'critical', dropping: ['host'] })
    }
    for (const seconds of [0, -1, 31]) {
      expect(look({ ...full, natBefore: aged(full.nat, seconds) })).toMatchObject(unclear)
    }
    const strained = { counts: { insertFailed: 3 }, nat: listing(0) }
    const ambiguous = dropped(3, 'threads raced for NAT ports, or a range of at most 32 ports')
    expect(look({ ...strained, natBefore: listing(0) }).found).toEqual(ambiguous)
    expect(look({ ...strained, natBefore: aged(listing(0), 31) }).found).toEqual(ambiguous)
  })

  test('believes one listing of the last minute where the entries do not fill a fifth of the smallest range', () => {
    const calm = { counts: { insertFailed: 3 }, facts: { entries: 12_902 } }
    const at = (seconds: number, more: Grown = {}) => {
      const nat = aged(listing(0), seconds)
      return look({ ...calm, nat, natBefore: nat, ...more })
    }
    expect(at(74).found).toEqual([expect.stringMatching(/^note.*raced for NAT ports$/)])
    const ambiguous = [expect.stringMatching(/at most 32 ports is full$/)]
    expect(at(77).found).toEqual(ambiguous)
    expect(at(74, { facts: { entries: 12_903 } }).found).toEqual(ambiguous)
    expect(at(74, { counts: { insertFailed: 3, collisions: 384 } }).severity).toBe('warning')
    // An old listing of a full pool is no sign that it is full.
    const old = aged(listing(1), 74)
    expect(look({ ...calm, nat: old, natBefore: old }).severity).toBe('ok')
  })

  test('never calls a pool exhausted without a listing, as races beside long searches count the same', () => {
    for (const collisions of [10, 1280, 1_000_000]) {
      expect(look({ counts: { insertFailed: 10, collisions } })).toMatchObject({
        severity: 'warning',
        found: dropped(10, 'threads raced for NAT ports, or no port was found'),
      })
    }
    expect(look({ counts: { insertFailed: 10, collisions: 9 } }).severity).toBe('ok')
  })

  test('does not say that there are enough ports where it is in doubt', () => {
    const unclear = { insertFailed: 3, collisions: 900 }
    for (const seen of [look({ counts: unclear }), look({ counts: unclear, nat: listing(0.02) })]) {
      expect(seen).toMatchObject({
        severity: 'warning',
        headline: 'The namespace drops packets and may lack NAT ports',
        dropping: [],
        doubted: ['host'],
      })
    }
    const full = look({ counts: unclear, nat: listing(1) })
    expect(full).toMatchObject({ dropping: ['host'], doubted: [] })
    expect(look({ counts: { insertFailed: 3 }, nat: listing(0) })).toMatchObject({ doubted: [] })
  })

  test('calls no race what conntrack refused to store', () => {
    for (const collisions of [0, 500]) {
      const counts = { insertFailed: 3, dropped: 2, collisions }
      for (const nat of [undefined, listing(0)]) {
        expect(look({ counts, nat }).found).toEqual([
          expect.stringMatching(/^warning: 3 .* or no port was found$/),
        ])
      }
    }
  })

  test('compares with no other namespace that had the name before', () => {
    const counts = { insertFailed: 3, collisions: 900 }
    expect(look({ counts, inodeBefore: 8 })).toMatchObject({ severity: 'ok', found: [] })
  })

  test('tells a full table from packets that were dropped for another reason', () => {
    const counts = { dropped: 4 }
    expect(look({ counts, facts: { limitEntries: 20_202 } })).toMatchObject({
      severity: 'critical',
      headline: 'The namespace drops new connections',
      found: dropped(4, 'the conntrack table is full'),
    })
    expect(look({ counts, facts: { limitEntries: 19_000 } }).severity).toBe('critical')
    for (const limitEntries of [20_204, undefined]) {
      const other = look({ counts, facts: { limitEntries } })
      expect(other.severity).toBe('ok')
      expect(other.found).toEqual(dropped(4, 'the reason is not known'))
    }
    const both = look({ counts: { insertFailed: 1, dropped: 3 }, nat: listing(1) })
    expect(both.found).toHaveLength(2)
  })

  test('counts races that cost nothing as ok', () => {
    expect(look({ counts: { clashesResolved: 1 } }).found).toEqual([
      'ok: 1 race for one conntrack entry cost no packet',
    ])
  })

  test('warns of long searches before the first drop, where no listing knows more', () => {
    const counts = { collisions: 20_001 }
    expect(look({ counts }).found).toEqual([
      'warning: searches for a NAT port meet more taken ports than there are connections',
    ])
    expect(look({ counts, nat: aged(listing(0), 74) }).found).toEqual([])
    expect(look({ counts, nat: aged(listing(0), 77) }).found).toHaveLength(1)
    expect(look({ counts: { collisions: 20_000 } }).found).toEqual([])
    expect(look({ counts: { collisions: 12_901 }, facts: { entries: 12_900 } }).found).toEqual([])
  })

  test('says that IPv6 NAT is not known where rules translate it', () => {
    expect(look({ facts: { translatesIpv6: true } }).found).toEqual([
      'note: the ports of IPv6 NAT are not known',
    ])
    const conntrack = { ...COUNTS, translatesIpv6: true }
    const entrance = { name: 'blue', pid: undefined }
    const blue = buildNamespace({ netns: 'named/blue', netnsKind: 'named', entrance, conntrack })
    const { findings } = diagnose(buildSnapshot({ namespaces: [blue] }), linux)
    const found = findings.find(({ what }) => /IPv6 NAT/.test(what))
    expect(found?.commands).toEqual([
      expect.stringMatching(/^ip netns exec blue sh -c '\[ .*; conntrack -L -f ipv6'$/),
    ])
  })
})
