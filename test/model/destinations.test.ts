import { describe, expect, test } from 'vitest'
import type { WireSocket } from '../support/kernel/netlink-builder.ts'
import { plainSettings } from '../support/kernel/readings.ts'
import { account, connection, tcp, timeWait } from './accounts.ts'

const on = (localPort: number, socket: WireSocket = connection) => ({ ...socket, localPort })
const bound = (socket: WireSocket) => ({ ...socket, device: 3 })

describe('accountDestinations() lets a destination with a device pay for its twin without one', () => {
  /** What the first destination of the dump, and the second, take of the ports. */
  function takenBy(...sockets: WireSocket[]) {
    const { columns } = account(tcp(...sockets))
    const { taken, takenFirstHalf, takenLive } = columns
    return { taken: [...taken], firstHalf: [...takenFirstHalf], live: [...takenLive] }
  }

  test('and counts a port once that both hold', () => {
    const withDevice = [on(40_000, bound(connection)), on(40_001, bound(connection))]
    const without = [on(40_001), on(40_002), on(40_004)]
    expect(takenBy(...withDevice, ...without)).toEqual({
      taken: [4, 3],
      firstHalf: [3, 2],
      live: [4, 3],
    })
  })

  test('whatever is in TIME_WAIT, which counts as taken but not as live', () => {
    const waiting = timeWait(30_000)
    expect(
      takenBy(on(40_000, bound(connection)), on(40_001, bound(waiting)), on(40_001, waiting)),
    ).toEqual({ taken: [2, 1], firstHalf: [1, 0], live: [1, 0] })
  })

  test('wherever the two stand in the dump', () => {
    const plain = [on(40_001), on(40_002)]
    const own = [on(40_000, bound(connection)), on(40_001, bound(connection))]
    expect(takenBy(...plain, ...own).taken).toEqual([2, 3])
  })

  test('and is as much of a burden, unless it uses no port itself', () => {
    const settings = { ...plainSettings, tcpTwReuse: 1 }
    const plain = [on(40_001), on(40_002)]
    const burdenOf = (socket: WireSocket) => [
      ...account(tcp(...plain, on(40_000, bound(socket))), settings).columns.burden,
    ]
    expect(burdenOf(connection)).toEqual([2, 3])
    expect(burdenOf(timeWait(1000))).toEqual([2, 0])
  })

  test('but not of what its twin would let go at once', () => {
    const settings = { ...plainSettings, tcpTwReuse: 1 }
    const old = timeWait(1000)
    const { columns } = account(tcp(on(40_001, bound(connection)), on(40_001, old)), settings)
    expect([[...columns.taken], [...columns.reclaimable]]).toEqual([
      [1, 0],
      [0, 1],
    ])
  })

  test('nor of another device, source or port', () => {
    const other = { ...connection, remotePort: 80 }
    expect(takenBy(on(40_000, bound(connection)), on(40_001, other)).taken).toEqual([1, 1])
    const elsewhere = { ...bound(connection), device: 4 }
    expect(takenBy(on(40_000, bound(connection)), on(40_001, elsewhere)).taken).toEqual([1, 1])
  })
})

describe('accountDestinations() counts', () => {
  test.each([
    [40_000, [3, 2]],
    [40_001, [3, 1]],
  ])('the half that connect() tries first from port %i of the range on', (first, want) => {
    const settings = { ...plainSettings, range: { first, last: first + 19 } }
    const { columns } = account(tcp(on(40_002), on(40_004), on(40_005)), settings)
    expect([columns.taken[0], columns.takenFirstHalf[0]]).toEqual(want)
  })

  test('used and in TIME_WAIT also on ports that are blocked, of which it takes none', () => {
    const listener = { ...connection, state: 10, remotePort: 0, local: [10, 9, 9, 9] }
    const { columns } = account(
      tcp(on(40_001, timeWait(9000)), on(40_001, listener), on(40_002), on(40_003)),
    )
    const { used, timeWait: waiting, taken } = columns
    expect([used[0], waiting[0], taken[0]]).toEqual([3, 1, 2])
  })

  test('no port as recyclable that a listener keeps from all', () => {
    const listener = { ...connection, state: 10, remotePort: 0, local: [10, 9, 9, 9] }
    const old = timeWait(1000)
    const { columns } = account(tcp(on(40_001, old), on(40_001, listener), on(40_002, old)), {
      ...plainSettings,
      tcpTwReuse: 1,
    })
    expect(columns.reclaimable[0]).toBe(1)
  })

  test('nothing of reserved ports, whose destination it still knows', () => {
    const settings = { ...plainSettings, reserved: [{ first: 40_005, last: 40_006 }] }
    const { columns } = account(tcp(on(40_005)), settings)
    expect([columns.count, columns.used[0], columns.taken[0]]).toEqual([1, 0, 0])
  })
})
