import { describe, expect, test } from 'vitest'
import type { Listener } from '../../src/model/listeners.ts'
import { advanceServices, type Services } from '../../src/model/services.ts'

interface Socket {
  readonly port: number
  readonly protocol?: 'tcp' | 'udp'
  readonly inode?: number
  readonly explicit?: boolean
}

/** Samples as their time and the sockets that listen. Of UDP no dump tells who chose the port. */
function play(
  samples: readonly (readonly [atSeconds: number, sockets: readonly Socket[]])[],
  { tcpChoiceKnown = true } = {},
) {
  let before: Services | undefined
  return samples.map(([atSeconds, sockets]) => {
    const all = sockets.map(
      ({ protocol = 'udp', inode = 0, explicit = protocol === 'tcp', port }): Listener => ({
        ...{ protocol, port, explicit, inode },
        ...{ address: [0, 0, 0, 0], ipv6Only: false, ownerId: undefined },
      }),
    )
    const now = advanceServices(before, { listeners: all, tcpChoiceKnown, atSeconds })
    before = now.memory
    return {
      known: now.udpKnown,
      ports: now.listeners.map(({ port }) => port),
      remembered: now.memory.seen.size,
    }
  })
}
const portsOf = (...args: Parameters<typeof play>) => play(...args).map(({ ports }) => ports)

describe('a UDP socket is a service', () => {
  const dns = { port: 53, inode: 7 }

  test('once it was seen for a minute', () => {
    expect(
      play([
        [100, [dns]],
        [159, [dns]],
        [160, [dns]],
        [161, [dns]],
      ]),
    ).toMatchObject([
      { known: false, ports: [] },
      { known: false, ports: [] },
      { known: true, ports: [53] },
      { known: true, ports: [53] },
    ])
  })

  test('never when its port was left in between', () => {
    expect(
      portsOf([
        [0, [dns]],
        [40, []],
        [80, [dns]],
        [139, [dns]],
        [140, [dns]],
      ]),
    ).toEqual([[], [], [], [], [53]])
  })

  test('not because another has the same port at the next sample, a minute or ten later', () => {
    for (const gap of [60, 75, 600]) {
      const samples = Array.from(
        { length: 12 },
        (_, at) => [gap * at, [dns, { port: 4000, inode: 100 + at }]] as const,
      )
      expect(portsOf(samples)).toEqual([[], ...Array.from({ length: 11 }, () => [53])])
    }
  })

  test('as long as one of several on its port stays', () => {
    const group = (...inodes: number[]) => inodes.map((inode) => ({ port: 53, inode }))
    expect(
      portsOf([
        [0, group(1, 2)],
        [30, group(3, 1)],
        [60, group(4, 1)],
        [61, group(4, 3)],
      ]),
    ).toEqual([[], [], [53, 53], []])
  })

  test('and what a resolver chose is neither listed nor remembered', () => {
    const chosen = (sample: number) =>
      Array.from({ length: 500 }, (_, at) => ({ port: 1000 + 500 * sample + at }))
    const samples = Array.from({ length: 20 }, (_, at) => [5 * at, [dns, ...chosen(at)]] as const)
    expect(play(samples).at(-1)).toEqual({ known: true, ports: [53], remembered: 501 })
  })

  test('and of a thousand sockets on one port one is remembered', () => {
    const many = Array.from({ length: 1000 }, (_, inode) => ({ port: 53, inode }))
    expect(play([[0, many]])[0]?.remembered).toBe(1)
  })
})

describe('a TCP socket that listens is a service', () => {
  const web = { protocol: 'tcp', port: 80, inode: 7 } as const

  test('at once where it was there before anybody looked, else after a minute', () => {
    const late = { ...web, port: 8080, inode: 8 }
    expect(
      portsOf([
        [0, [web]],
        [5, [web, late]],
        [64, [web, late]],
        [65, [web, late]],
        [66, [{ ...web, inode: 9 }, late]],
      ]),
    ).toEqual([[80], [80], [80], [80, 8080], [8080]])
  })

  test('never where the kernel chose the port, as far as that can be told', () => {
    const passive = { ...web, explicit: false }
    const samples = [0, 60, 120].map(
      (atSeconds) => [atSeconds, [web, passive, { ...passive, port: 4000 }]] as const,
    )
    expect(portsOf(samples)).toEqual([[80], [80], [80]])
    expect(portsOf(samples, { tcpChoiceKnown: false })[0]).toEqual([80, 80, 4000])
  })

  test('and UDP on the same number is another', () => {
    const udp = { ...web, protocol: 'udp' } as const
    expect(
      portsOf([
        [0, [udp]],
        [59, [udp, web]],
        [60, [web, udp]],
      ]),
    ).toEqual([[], [], [80]])
  })

  test('and servers of passive FTP leave no trace', () => {
    const turns = Array.from({ length: 40 }, (_, at) => {
      const passing = Array.from({ length: 15 }, (_, i) => {
        const number = 15 * at + i
        return {
          protocol: 'tcp' as const,
          port: 30_000 + number,
          inode: number,
          explicit: i % 2 === 0,
        }
      })
      return [5 * at, at === 0 ? [web] : [web, ...passing]] as const
    })
    expect(portsOf(turns)).toEqual(turns.map(() => [80]))
    expect(play(turns).at(-1)?.remembered).toBe(9)
  })
})
