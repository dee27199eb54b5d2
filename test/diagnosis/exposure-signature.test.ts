import { describe, expect, test } from 'vitest'
import { diagnose } from '../../src/diagnosis/diagnose.ts'
import { buildNamespace, buildSnapshot, linux } from '../support/render/cli-snapshot.ts'
import { COUNTS, dropped, listing, look } from './conntrack-course.ts'

describe('checkConntrack() of a signature', () => {
  test('calls a pool exhausted by the signature of the counters, with and without drops in this sample', () => {
    const facts = { dropSignature: 'range_full' } as const
    const counted = 'no NAT port was found for them, as the counters say'
    const counts = { insertFailed: 10, collisions: 680 }
    for (const nat of [undefined, listing(0), listing(0.49)]) {
      expect(look({ counts, facts, nat })).toMatchObject({
        severity: 'critical',
        headline: 'The namespace drops new connections',
        dropping: ['host'],
        found: dropped(10, counted),
      })
      expect(look({ facts, nat })).toMatchObject({
        severity: 'critical',
        dropping: ['host'],
        found: [`critical: packets were dropped in the last minutes: ${counted}`],
      })
    }
    const listed = [
      look({ counts, facts, nat: listing(0.51) }),
      look({ facts, nat: listing(0.51) }),
    ]
    for (const { found } of listed) {
      expect(found[0]).toMatch(/no NAT port was found for them, at worst to /)
    }
    const first = buildSnapshot({
      namespaces: [buildNamespace({ conntrack: { ...COUNTS, ...facts } })],
    })
    expect(diagnose(first, linux)).toMatchObject({ severity: 'critical', dropping: ['host'] })
    for (const dropSignature of ['unclear', 'races_or_small_range'] as const) {
      expect(look({ facts: { dropSignature } })).toMatchObject({ severity: 'ok', found: [] })
    }
    const races = { insertFailed: 3, collisions: 2 }
    expect(look({ counts: races, facts: { dropSignature: 'races_or_small_range' } })).toMatchObject(
      {
        severity: 'ok',
        found: dropped(3, 'threads raced for NAT ports, or a range of at most 32 ports is full'),
      },
    )
    expect(look({ counts: races, facts: { dropSignature: 'unclear' } })).toMatchObject({
      severity: 'warning',
      doubted: ['host'],
      found: dropped(3, 'threads raced for NAT ports, or no port was found'),
    })
    const both = look({ counts: { ...counts, dropped: 12 }, facts })
    expect(both.found).toEqual([...dropped(10, counted), ...dropped(2, 'the reason is not known')])
  })
})
