import { describe, expect, test } from 'vitest'
import { type Held, type HeldGroup, heldGroups } from '../../src/model/held-ports.ts'
import { OWNERLESS, OWNERLESS_ID } from '../../src/model/owners/ids.ts'
import { type CauseContext, type CauseMemory, judgeCause } from '../../src/model/pool-cause.ts'

type Ports = Readonly<Partial<Record<HeldGroup, number>>>

function hold(ports: Ports, owners: readonly (readonly [owner: number, ports: number])[] = []) {
  const of = <T>(make: (group: HeldGroup) => T) =>
    Object.fromEntries(heldGroups.map((group) => [group, make(group)])) as Record<HeldGroup, T>
  const groups = of((group) => ports[group] ?? 0)
  return { ports: {}, groups, owners: of(() => new Map(owners)) } as unknown as Held
}

const context: CauseContext = {
  pool: 'tcp_connect',
  pilingUp: false,
  remembered: undefined,
  idOf: (owner) => owner,
  // Two ids of each ten have one name.
  nameOwner: (id) =>
    id < 900 ? { owner: `unit ${Math.floor(id / 10)}`, ownerKind: 'unit' } : undefined,
}

function judge(held: Held, before?: CauseMemory, changes: Partial<CauseContext> = {}) {
  const judged = judgeCause(held, before, { ...context, ...changes })
  return judged?.cause
}

describe('judgeCause()', () => {
  test('names nothing while nothing is held, and remembers what it names', () => {
    expect(judgeCause(hold({}), undefined, context)).toBeUndefined()
    const held = hold({ open: 4, closing: 3 }, [[10, 4]])
    expect(judgeCause(held, undefined, context)).toEqual({
      cause: {
        cause: 'many_connections',
        ports: 4,
        owners: [{ owner: 'unit 1', ownerKind: 'unit', ports: 4 }],
      },
      memory: { group: 'open', owner: 'unit 1' },
    })
  })

  test('stays with a group until another has more by a tenth of all that is held', () => {
    const before = { group: 'open', owner: undefined } as const
    expect(judge(hold({ open: 45, closing: 55 }), before)?.cause).toBe('many_connections')
    expect(judge(hold({ open: 44, closing: 56 }), before)?.cause).toBe('churn')
    expect(judge(hold({ closing: 2 }), before)?.cause).toBe('churn')
    expect(judge(hold({ open: 45, closing: 55 }))?.cause).toBe('churn')
  })

  test('calls open connections that pile up a leak, of the pool of connect() alone', () => {
    const leak = { pilingUp: true }
    expect(judge(hold({ open: 4 }), undefined, leak)?.cause).toBe('open_leak')
    expect(judge(hold({ open: 4 }), undefined, { ...leak, pool: 'tcp_bind' })?.cause).toBe(
      'many_connections',
    )
    expect(judge(hold({ closing: 4 }), undefined, leak)?.cause).toBe('churn')
    expect(judge(hold({ open: 4 }), undefined, { pilingUp: undefined })?.cause).toBe(
      'many_connections',
    )
  })

  const ownersOf = (held: Held, owner?: string, changes?: Partial<CauseContext>) =>
    judge(held, { group: 'open', owner }, changes)?.owners.map(
      ({ owner, ports }) => `${owner}: ${ports}`,
    )

  test('names the three owners with the most ports, by name where they have as many', () => {
    const ports = [
      [50, 3],
      [20, 7],
      [40, 7],
      [30, 7],
      [21, 0],
    ] as const
    const three = ['unit 2: 7', 'unit 3: 7', 'unit 4: 7']
    expect(ownersOf(hold({ open: 24 }, ports))).toEqual(three)
    expect(ownersOf(hold({ open: 24 }, [...ports].reverse()))).toEqual(three)
    expect(ownersOf(hold({ open: 24 }, [...ports, [51, 9]]))?.[0]).toBe('unit 5: 12')
    expect(ownersOf(hold({ open: 24 }, ports), undefined, { nameOwner: undefined })).toEqual([])
  })

  test('names the one of the last sample first, until another has more by a tenth', () => {
    const ports = (first: number, second: number) =>
      hold({ open: 100 }, [
        [10, first],
        [20, second],
      ])
    expect(ownersOf(ports(45, 55), 'unit 1')).toEqual(['unit 1: 45', 'unit 2: 55'])
    expect(ownersOf(ports(44, 56), 'unit 1')).toEqual(['unit 2: 56', 'unit 1: 44'])
    expect(ownersOf(ports(45, 55), 'unit 9')).toEqual(['unit 2: 55', 'unit 1: 45'])
  })

  test('gives ports without an owner to those that are remembered, and to nobody where none is', () => {
    const held = hold({ open: 12 }, [
      [OWNERLESS, 8],
      [10, 4],
    ])
    const remembered = new Map([
      [10, 1],
      [20, 3],
      [OWNERLESS_ID, 0],
    ])
    expect(ownersOf(held, undefined, { remembered })).toEqual(['unit 1: 6', 'unit 2: 6'])
    expect(ownersOf(held)).toEqual(['unit 1: 4'])
    expect(ownersOf(held, undefined, { remembered: new Map() })).toEqual(['unit 1: 4'])
    expect(ownersOf(hold({ open: 1 }, [[900, 1]]))).toEqual(['unknown: 1'])
  })
})
