import { describe, expect, test } from 'vitest'
import type { Listener } from '../../src/model/census.ts'
import { advanceUdpServices, type UdpServices } from '../../src/model/services.ts'

const listener = (protocol: 'tcp' | 'udp', port: number): Listener => ({
  protocol,
  port,
  address: [0, 0, 0, 0],
  ipv6Only: false,
  ownerId: undefined,
})

/** Samples as their time and the ports that UDP sockets listen on. */
function play(samples: readonly (readonly [atSeconds: number, ports: readonly number[]])[]) {
  let before: UdpServices | undefined
  return samples.map(([atSeconds, ports]) => {
    const all = [listener('tcp', 80), ...ports.map((port) => listener('udp', port))]
    const { memory, listeners, known } = advanceUdpServices(before, all, atSeconds)
    before = memory
    return { known, ports: listeners.map(({ port }) => port), remembered: memory.sinceSeconds.size }
  })
}

describe('a UDP socket is a service', () => {
  test('once it was seen for a minute, and TCP at once', () => {
    expect(
      play([
        [100, [53]],
        [159, [53]],
        [160, [53]],
        [161, [53]],
      ]),
    ).toMatchObject([
      { known: false, ports: [80] },
      { known: false, ports: [80] },
      { known: true, ports: [80, 53] },
      { known: true, ports: [80, 53] },
    ])
  })

  test('never when its port was left in between', () => {
    expect(
      play([
        [0, [53]],
        [40, []],
        [80, [53]],
        [139, [53]],
        [140, [53]],
      ]),
    ).toMatchObject([
      { ports: [80] },
      { ports: [80] },
      { ports: [80] },
      { ports: [80] },
      { ports: [80, 53] },
    ])
  })

  test('and what a resolver chose is neither listed nor remembered', () => {
    const chosen = (sample: number) =>
      Array.from({ length: 500 }, (_, at) => 1000 + 500 * sample + at)
    const samples = Array.from({ length: 20 }, (_, at) => [5 * at, [53, ...chosen(at)]] as const)
    const last = play(samples).at(-1)
    expect(last).toEqual({ known: true, ports: [80, 53], remembered: 501 })
  })
})
