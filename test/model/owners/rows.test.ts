import { describe, expect, test } from 'vitest'
import { rankOwners } from '../../../src/model/owners/rows.ts'
import type { NamespaceState } from '../../../src/snapshot.ts'
import { plainSocket, type WireSocket } from '../../support/kernel/netlink-builder.ts'
import {
  createReading,
  plainSettings,
  replayDumps,
  type WireDump,
} from '../../support/kernel/readings.ts'
import { createPlayer, portsOf, rowsOf } from './owners-play.ts'

const spread = (count: number, cgroupId: number, first: number): WireSocket[] =>
  Array.from({ length: count }, (_, at) => ({
    ...plainSocket,
    device: 0,
    cgroupId,
    localPort: first + at,
  }))

const tcp = (sockets: readonly WireSocket[]): WireDump => ({
  protocol: 'tcp',
  explicit: false,
  sockets,
})

const hiddenOf = ({ truncated }: NamespaceState) => truncated.ephemeral_port_owner_used_ports

describe('rankOwners()', () => {
  /** Ports by cgroup id. */
  type Load = Readonly<Record<number, number>>
  function play(top: number, loads: readonly Load[]) {
    const player = createPlayer({ top })
    return loads.map((load) => {
      let first = 40000
      const sockets = Object.entries(load).flatMap(([id, ports]) => {
        first += ports
        return spread(ports, Number(id), first - ports)
      })
      const settings = { ...plainSettings, range: { first: 40000, last: 40099 } }
      return player.play(createReading(replayDumps([tcp(sockets)]), settings))
    })
  }
  const ids = (state: NamespaceState) =>
    rowsOf(state)?.map((row) => row.replace('tcp ', '').replace('.service', ''))

  test('gives the best a row, most ports first, and sums the rest', () => {
    const [only] = play(2, [{ 5: 1, 6: 4, 7: 2, 8: 2, 900: 1 }])
    expect(only && ids(only)).toEqual(['6 4', '7 2', '*other 3', '*unknown 1'])
    expect(only && hiddenOf(only)).toBe(2)
  })

  test('orders those that hold as many ports by name, in whatever order they come', () => {
    const nameOwner = (id: number) => ({ owner: `unit ${id}`, ownerKind: 'unit' }) as const
    for (const order of [
      [4, 5, 6],
      [6, 5, 4],
      [5, 6, 4],
    ]) {
      const ports = new Map(order.map((id) => [id, 7]))
      const ranked = rankOwners(ports, { protocol: 'tcp', top: 2, nameOwner, members: [] })
      expect(ranked.rows.map(({ owner }) => owner)).toEqual(['unit 4', 'unit 5', 'other'])
    }
  })

  test('hides nothing where there is no more', () => {
    const [only] = play(2, [{ 5: 1, 6: 4 }])
    expect(only && ids(only)).toEqual(['6 4', '5 1'])
    expect(only && hiddenOf(only)).toBe(0)
  })

  test('keeps a member outside the best 2 x top for two samples and drops it at the third', () => {
    const samples = play(1, [{ 5: 1 }, ...Array(3).fill({ 5: 1, 6: 9, 7: 8 })])
    expect(samples.map(ids)).toEqual([
      ['5 1'],
      ['6 9', '5 1', '*other 8'],
      ['6 9', '5 1', '*other 8'],
      ['6 9', '*other 9'],
    ])
  })

  test('keeps it for good within the best 2 x top', () => {
    const samples = play(1, [{ 5: 1 }, ...Array(5).fill({ 5: 1, 6: 9 })])
    expect(samples.map(ids).at(-1)).toEqual(['6 9', '5 1'])
  })

  test('shows a member without ports at zero until it leaves, hiding nobody', () => {
    const samples = play(1, [{ 5: 9 }, ...Array(3).fill({ 6: 3, 7: 2 })])
    expect(samples.map(ids)).toEqual([
      ['5 9'],
      ['6 3', '5 0', '*other 2'],
      ['6 3', '5 0', '*other 2'],
      ['6 3', '*other 2'],
    ])
    expect(samples.map(hiddenOf)).toEqual([0, 1, 1, 1])
  })

  test('never lists more than 2 x top', () => {
    const samples = play(1, [{ 5: 1 }, { 5: 1, 6: 2 }, { 5: 1, 6: 2, 7: 3 }])
    expect(samples.map(ids).at(-1)).toEqual(['7 3', '6 2', '*other 1'])
  })

  test('ranks each protocol by itself', () => {
    const dumps: readonly WireDump[] = [
      tcp([...spread(3, 5, 40000), ...spread(1, 6, 40009)]),
      { protocol: 'udp', explicit: false, sockets: spread(2, 6, 40000) },
    ]
    const state = createPlayer({ top: 1 }).play(createReading(replayDumps(dumps)))
    expect(rowsOf(state)).toEqual(['tcp 5.service 3', 'tcp *other 1', 'udp 6.service 2'])
    expect(portsOf(state, 'other')).toBe(1)
  })
})
