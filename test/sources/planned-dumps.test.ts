import { describe, expect, test } from 'vitest'
import type { Capabilities } from '../../src/kernel/capabilities.ts'
import { planDumps } from '../../src/sources/netlink.ts'

describe('planDumps()', () => {
  const either = [false, true]
  const combinations = either.flatMap((legacyWalk) =>
    either.flatMap((boundIdle) =>
      either.flatMap((portChoice) =>
        either.flatMap((udpDiag) =>
          either.flatMap((cgroupId) => {
            const capabilities = { legacyWalk, boundIdle, portChoice, udpDiag, cgroupId }
            return either.map((ipv6) => ({ capabilities, ipv6 }))
          }),
        ),
      ),
    ),
  )

  /** Which kinds of sockets a plan lists, each as often as it does. Of an idle one state 10 or 13 tells. */
  function cellsOf(capabilities: Capabilities, ipv6: boolean): string[] {
    return planDumps(capabilities, ipv6).flatMap(({ question, choice, states }) => {
      const families = question.kind === 'legacy' ? [2, 10] : [question.family]
      const protocol = question.kind === 'legacy' ? 'tcp' : question.protocol
      const of = (made: string, kind: string) =>
        families.map((family) => `${protocol} ${family} ${made} ${kind}`)
      const lists = (made: string, idle: boolean) =>
        choice === 'any' ||
        choice === made ||
        (choice === 'explicit_or_idle' && (idle || made === 'explicit'))
      return ['auto', 'explicit'].flatMap((made) => [
        ...(lists(made, false) && (states & 2) !== 0 ? of(made, 'connected') : []),
        ...(lists(made, true) && (states & (1 << 10)) !== 0 ? of(made, 'listening') : []),
        ...(lists(made, true) && (states & (1 << 13)) !== 0 ? of(made, 'bound') : []),
        // Of a TIME_WAIT no listing tells that the application chose the port.
        ...(made === 'auto' && lists(made, false) && (states & (1 << 6)) !== 0
          ? of(made, 'gone')
          : []),
      ])
    })
  }

  test('covers every kind of socket exactly once, whatever the kernel can do', () => {
    for (const { capabilities, ipv6 } of combinations) {
      const { legacyWalk, udpDiag } = capabilities
      const kinds = ['connected', 'listening', 'bound']
      const sorts = [
        'auto gone',
        ...['auto', 'explicit'].flatMap((made) => kinds.map((kind) => `${made} ${kind}`)),
      ]
      const expected = sorts.flatMap((sort) => [
        `tcp 2 ${sort}`,
        // The legacy walk always lists both families.
        ...(ipv6 || legacyWalk ? [`tcp 10 ${sort}`] : []),
        ...(udpDiag ? [`udp 2 ${sort}`] : []),
        ...(udpDiag && ipv6 ? [`udp 10 ${sort}`] : []),
      ])
      expect(cellsOf(capabilities, ipv6).sort(), JSON.stringify({ capabilities, ipv6 })).toEqual(
        expected.sort(),
      )
    }
  })

  test('asks only what the kernel was seen to answer', () => {
    for (const { capabilities, ipv6 } of combinations) {
      const plan = planDumps(capabilities, ipv6)
      const name = JSON.stringify({ capabilities, ipv6 })
      const has = (wanted: (dump: (typeof plan)[number]) => boolean) => plan.some(wanted)
      expect(
        has(({ question }) => question.kind === 'legacy'),
        name,
      ).toBe(capabilities.legacyWalk)
      expect(
        has(({ choice }) => choice === 'any'),
        name,
      ).toBe(!capabilities.portChoice)
      expect(
        has(({ choice }) => choice !== 'any'),
        name,
      ).toBe(capabilities.portChoice)
    }
  })
})
