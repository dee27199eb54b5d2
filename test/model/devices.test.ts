import { describe, expect, test } from 'vitest'
import {
  advanceDevices,
  type DeviceMemory,
  hasVrf,
  nameDevice,
  nameDevices,
} from '../../src/model/devices.ts'
import { createNumberTable, type NumberTable } from '../../src/model/owners/ids.ts'
import { createStep } from '../../src/model/step.ts'
import { plainSocket, type WireSocket } from '../support/kernel/netlink-builder.ts'
import { createReading, replayDumps } from '../support/kernel/readings.ts'

function tableOf(indexes: readonly number[]): NumberTable {
  const table = createNumberTable()
  for (const index of indexes) table.index(index)
  return table
}

const lo = { name: 'lo', vrf: false }
const red = { name: 'red', vrf: true }

/** Samples as their time and the devices in use; what was remembered of each, and how often the devices were read. */
function play(
  samples: readonly (readonly [atSeconds: number, used: readonly number[]])[],
  all = [lo, red],
) {
  let before: DeviceMemory | undefined
  let reads = 0
  const read = () => {
    reads++
    return new Map(all.map((device, at) => [at + 1, device]))
  }
  return samples.map(([atSeconds, used]) => {
    before = advanceDevices(before, tableOf(used), { read, atSeconds })
    return {
      reads,
      names: [...(before?.devices ?? [])].map(([index, { name }]) => `${index} ${name}`),
    }
  })
}

describe('advanceDevices()', () => {
  test('reads nothing while no socket is bound to a device', () => {
    expect(play([[0, []]])).toEqual([{ reads: 0, names: [] }])
  })

  test('reads when one is new, and again after a minute', () => {
    expect(
      play([
        [0, [1]],
        [5, [1]],
        [10, [1, 2]],
        [69, [2]],
        [70, [2]],
      ]),
    ).toEqual([
      { reads: 1, names: ['1 lo'] },
      { reads: 1, names: ['1 lo'] },
      { reads: 2, names: ['1 lo', '2 red'] },
      { reads: 2, names: ['1 lo', '2 red'] },
      { reads: 3, names: ['2 red'] },
    ])
  })

  test('does not ask again in each sample for one that has gone', () => {
    expect(
      play([
        [0, [7]],
        [5, [7]],
      ]),
    ).toEqual([
      { reads: 1, names: ['7 7'] },
      { reads: 1, names: ['7 7'] },
    ])
  })

  test('keeps what it knew while devices cannot be read', () => {
    const before = { readAtSeconds: 0, devices: new Map([[1, lo]]), whole: true, failed: false }
    const failing = { read: () => undefined, atSeconds: 100 }
    const after = advanceDevices(before, tableOf([1]), failing)
    expect(after).toEqual({ ...before, readAtSeconds: 100, failed: true })
    expect(hasVrf(after)).toBe(false)
    const nobody = { read: undefined, atSeconds: 0 }
    expect(advanceDevices(undefined, tableOf([1]), nobody)).toBeUndefined()
  })

  test('claims nothing of devices that cannot be read, and tries again after a minute', () => {
    let reads = 0
    let answer: ReadonlyMap<number, typeof lo> | undefined
    const read = () => {
      reads++
      return answer
    }
    let memory: DeviceMemory | undefined
    const look = (atSeconds: number, ...used: number[]) => {
      memory = advanceDevices(memory, tableOf(used), { read, atSeconds })
      return [reads, hasVrf(memory)]
    }
    expect(look(0, 1)).toEqual([1, true])
    expect(look(5, 1)).toEqual([1, true])
    expect(look(59, 1, 2)).toEqual([1, true])
    answer = new Map([[1, lo]])
    expect(look(60, 1)).toEqual([2, false])
    answer = undefined
    expect(look(65, 1)).toEqual([2, false])
    expect(look(70, 1, 2)).toEqual([3, true])
    expect(look(75, 1, 3)).toEqual([3, true])
    expect(look(80, 1)).toEqual([3, false])
  })
})

test('of more devices than anybody needs some are named, and nothing is claimed of the rest', () => {
  const used = tableOf(Array.from({ length: 5000 }, (_, at) => at + 1))
  const asked: number[] = []
  const read = (indexes: readonly number[]) => {
    asked.push(...indexes)
    return new Map(indexes.map((index) => [index, { name: `dummy${index}`, vrf: false }]))
  }
  const memory = advanceDevices(undefined, used, { read, atSeconds: 0 })
  expect(asked).toEqual(Array.from({ length: 1000 }, (_, at) => at + 1))
  expect([memory?.devices.size, hasVrf(memory)]).toEqual([1000, true])
  const next = advanceDevices(memory, tableOf([1]), { read, atSeconds: 5 })
  expect([asked.length, hasVrf(next)]).toEqual([1000, false])
})

test('hasVrf() tells one VRF among other devices, and a device that has gone is none', () => {
  const read = () => new Map([lo, red].map((device, at) => [at + 1, device] as const))
  const isVrfAmong = (indexes: readonly number[]) =>
    hasVrf(advanceDevices(undefined, tableOf(indexes), { read, atSeconds: 0 }))
  expect([[1], [2], [1, 2], [7], [1, 7]].map(isVrfAmong)).toEqual([false, true, true, false, false])
})

test('nameDevice() leaves a source without a known device as it is', () => {
  const memory = { readAtSeconds: 0, devices: new Map([[2, red]]), whole: true, failed: false }
  const name = (source: string) =>
    nameDevice({ source, destination: '10.0.0.9:443' }, memory).source
  expect(['10.0.0.5', '10.0.0.5%2', 'fd00::9%2', '10.0.0.5%3'].map(name)).toEqual([
    ...['10.0.0.5', '10.0.0.5%red', 'fd00::9%red', '10.0.0.5%3'],
  ])
  const unknown = { source: '10.0.0.5%2', destination: '10.0.0.9:443' }
  expect(nameDevice(unknown, undefined)).toEqual(unknown)
  const rows = { count: 0, rows: [], other: undefined }
  expect(nameDevices(rows, undefined)).toBe(rows)
  expect([hasVrf(memory), hasVrf(undefined)]).toEqual([true, false])
})

test('step() names devices, and claims nothing of a VRF', () => {
  const step = createStep({
    ...{ top: 10, peakWindowSeconds: 60, forecastHorizonSeconds: 900 },
    ...{ destinations: true, listeners: true, owners: false },
  })
  const look = (device: typeof lo) => {
    const sockets = Array.from({ length: 10 }, (_, at): WireSocket => {
      return { ...plainSocket, device: 2, localPort: 40_000 + at }
    })
    const reading = createReading(replayDumps([{ protocol: 'tcp', explicit: true, sockets }]))
    const context = { atSeconds: 0, unixSeconds: 0, readDevices: () => new Map([[2, device]]) }
    return step(undefined, reading, context).namespace
  }
  const named = look({ ...lo, name: 'eth1' })
  expect(named.exactness).toBe('exact')
  expect(named.destinations?.rows.map(({ source }) => source)).toEqual(['10.0.0.5%eth1'])
  expect(named.pools[0]?.worstDestination?.source).toBe('10.0.0.5%eth1')
  expect(look(red).exactness).toBe('inferred')
})

test('step() gives the socket of a tunnel to the kernel, and no other', () => {
  const step = createStep({
    ...{ top: 10, peakWindowSeconds: 60, forecastHorizonSeconds: 900 },
    ...{ destinations: true, listeners: true, owners: true },
  })
  const sockets = [40_007, 40_008].map((localPort): WireSocket => {
    return { ...plainSocket, device: 0, state: 7, remotePort: 0, localPort, cgroupId: 77 }
  })
  const reading = createReading(replayDumps([{ protocol: 'udp', explicit: true, sockets }]))
  const { namespace } = step(
    undefined,
    { ...reading, tunnelPorts: new Set([40_007]) },
    {
      ...{ atSeconds: 0, unixSeconds: 0 },
      nameOwners: () => () => ({ owner: 'flannel', ownerKind: 'container' }),
    },
  )
  expect(namespace.owners?.map(({ owner, ownerKind }) => `${ownerKind} ${owner}`)).toEqual([
    'container flannel',
    'kernel kernel',
  ])
})
