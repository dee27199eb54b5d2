// Own timestamps, switched on and off while connections live: a TIME_WAIT follows what the sysctl was when its connection
// began, whenever it ends.

import { describe, expect, test } from 'vitest'
import { createStep, type ModelState } from '../../src/model/step.ts'
import { plainSocket, type WireSocket } from '../support/kernel/netlink-builder.ts'
import {
  createReading,
  plainSettings,
  plainStepOptions,
  replayDumps,
} from '../support/kernel/readings.ts'

const FIRST = 40_000
const PORTS = 100
const LOCAL = [127, 0, 0, 1]

interface Connection {
  readonly port: number
  readonly timestamps: boolean
  /** Last byte of the peer. */
  readonly to: number
  readonly state: 'live' | 'closing' | 'timeWait'
  readonly endedAtSeconds: number
}

/** A host with connections to itself, and an exporter that looks when it is told to. */
class Host {
  own = 1
  tcpTwReuse = 1
  canLook = true
  seconds = 0
  #connections: readonly Connection[] = []
  readonly #step = createStep(plainStepOptions)
  #state: ModelState | undefined

  connect(from: number, count: number, to = 1): void {
    const made = Array.from({ length: count }, (_, at) => ({
      ...{ port: FIRST + from + at, timestamps: this.own !== 0, to },
      ...{ state: 'live' as const, endedAtSeconds: 0 },
    }))
    const isSame = (one: Connection) => made.some(({ port }) => port === one.port && to === one.to)
    this.#connections = [...this.#connections.filter((one) => !isSame(one)), ...made]
  }

  close(to = 1): void {
    this.#connections = this.#connections.map((one) =>
      one.to === to && one.state === 'live'
        ? { ...one, state: 'timeWait', endedAtSeconds: this.seconds }
        : one,
    )
  }

  wait(seconds: number): void {
    this.seconds += seconds
    this.#connections = this.#connections.filter(
      (one) => one.state !== 'timeWait' || this.seconds - one.endedAtSeconds < 60,
    )
  }

  look(between?: () => void) {
    const listed = this.#connections.map((one) => this.#wireOf(one))
    const dumps = [{ protocol: 'tcp', explicit: false, sockets: listed }] as const
    const reading = createReading(replayDumps(dumps), {
      ...plainSettings,
      range: { first: FIRST, last: FIRST + PORTS - 1 },
      ...{ tcpTwReuse: this.tcpTwReuse, tcpTimestamps: this.own },
    })
    const shows = (sockets: () => readonly WireSocket[]) => (see: (batch: never) => void) => {
      for (const batch of replayDumps([{ ...dumps[0], sockets: sockets() }])) see(batch as never)
      return true as const
    }
    const live = () => {
      between?.()
      const now = this.#connections.filter(({ state }) => state === 'live')
      return now.map((one) => ({ ...this.#wireOf(one), timestamps: one.timestamps }))
    }
    const listener = { ...this.#wireOf(undefined), state: 10, remotePort: 0, localPort: 443 }
    const { state, namespace } = this.#step(this.#state, reading, {
      ...{ atSeconds: this.seconds, unixSeconds: 1_700_000_000 },
      lookTimestamps: this.canLook ? shows(live) : undefined,
      listListeners: shows(() => [{ ...listener, local: [0, 0, 0, 0] }]),
      testPorts: ({ ambiguous }) =>
        new Map(ambiguous.map((port) => [port, { closed: false, testedAtSeconds: this.seconds }])),
    })
    this.#state = state
    const { availablePorts, uncertainPorts } = namespace.pools[0] ?? {}
    return [availablePorts, uncertainPorts, namespace.exactness]
  }

  /** How many connections the kernel would grant now. */
  get truth(): number {
    const taken = [1, 2].map((to) => {
      const mine = this.#connections.filter((one) => one.to === to)
      return mine.filter(
        ({ state, timestamps, endedAtSeconds }) =>
          state !== 'timeWait' || !timestamps || this.seconds - endedAtSeconds <= 1,
      ).length
    })
    return PORTS - Math.max(...taken)
  }

  #wireOf(one: Connection | undefined): WireSocket {
    const isWaiting = one?.state === 'timeWait'
    const left = 60 - (this.seconds - (one?.endedAtSeconds ?? 0))
    return {
      ...plainSocket,
      ...{ device: 0, local: LOCAL, remote: [127, 0, 0, one?.to ?? 0], remotePort: 443 },
      ...{ localPort: one?.port ?? 0, state: isWaiting ? 6 : 1 },
      ...(isWaiting && { timer: 3, expiresMs: 1000 * left - 1 }),
    }
  }
}

const exactly = (host: Host) => [host.truth, 0, 'exact']

describe('own timestamps', () => {
  test('that are switched on do not help connections that live already', () => {
    const host = new Host()
    host.own = 0
    host.look()
    host.connect(0, 90)
    host.wait(5)
    host.look()
    host.own = 1
    host.wait(5)
    host.look()
    host.connect(90, 10)
    host.wait(12)
    host.close()
    for (let at = 0; at < 10; at++) {
      host.wait(5)
      expect(host.look()).toEqual([10, 0, 'exact'])
      expect(host.truth).toBe(10)
    }
    // What is made then has them.
    host.wait(20)
    host.connect(0, 90)
    host.look()
    host.wait(5)
    host.close()
    host.wait(5)
    expect(host.look()).toEqual([100, 0, 'exact'])
  })

  test('that were switched on before the first look neither', () => {
    const host = new Host()
    host.own = 0
    host.connect(0, 60)
    host.own = 1
    host.connect(60, 10)
    host.look()
    host.wait(5)
    host.close()
    host.wait(5)
    expect(host.look()).toEqual([40, 0, 'exact'])
    expect(host.truth).toBe(40)
  })

  test('that were switched off are still those of connections that live', () => {
    const host = new Host()
    host.look()
    host.connect(0, 60)
    host.wait(5)
    host.look()
    host.own = 0
    host.wait(5)
    host.look()
    host.connect(60, 10)
    host.wait(5)
    host.look()
    host.close()
    host.wait(5)
    expect(host.look()).toEqual([90, 60, 'inferred'])
    expect(host.truth).toBe(90)
  })

  test('that were switched off while TIME_WAITs were there, or before the first look, are as good', () => {
    for (const isSeen of [true, false]) {
      const host = new Host()
      if (isSeen) host.look()
      host.connect(0, 100)
      host.close()
      host.wait(10)
      if (isSeen) host.look()
      host.own = 0
      for (let at = 0; at < 4; at++) {
        host.wait(5)
        expect(host.look()).toEqual([100, 100, 'inferred'])
        expect(host.truth).toBe(100)
      }
      host.wait(60)
      expect(host.look()).toEqual(exactly(host))
      // Of what begins now none has any.
      host.connect(0, 30)
      host.close()
      host.wait(5)
      expect(host.look()).toEqual([70, 0, 'exact'])
    }
  })

  test('that are switched off and on again are remembered', () => {
    const host = new Host()
    host.look()
    host.connect(0, 30)
    host.wait(5)
    host.look()
    host.own = 0
    host.wait(5)
    host.look()
    host.connect(30, 30, 2)
    host.wait(5)
    host.look()
    host.own = 1
    host.canLook = false
    host.wait(5)
    host.look()
    host.close(1)
    host.close(2)
    host.wait(5)
    expect(host.look()).toEqual([70, 0, 'exact'])
    expect(host.truth).toBe(70)
  })

  test('are in doubt while nobody can see the connections that were there at first', () => {
    const host = new Host()
    host.canLook = false
    host.connect(0, 50)
    host.look()
    host.close()
    host.wait(5)
    expect(host.look()).toEqual([100, 50, 'inferred'])
    host.canLook = true
    host.wait(5)
    expect(host.look()).toEqual([100, 50, 'inferred'])
    // Those that ended before stay in doubt until they go, and nothing else does.
    host.wait(60)
    host.connect(0, 50)
    host.close()
    host.wait(5)
    expect(host.look()).toEqual([100, 0, 'exact'])
  })

  test('of a connection that ends while the others are looked at are in doubt', () => {
    const host = new Host()
    host.own = 0
    host.connect(0, 10)
    host.own = 1
    host.look(() => host.close())
    host.wait(5)
    expect(host.look()).toEqual([100, 10, 'inferred'])
  })

  test('of a connection that began and ended around the switch are in doubt', () => {
    const host = new Host()
    host.own = 0
    host.look()
    host.connect(0, 10)
    host.close()
    host.own = 1
    host.connect(10, 10)
    host.close()
    host.wait(5)
    expect(host.look()).toEqual([100, 20, 'inferred'])
    expect(host.truth).toBe(90)
  })

  test('do not stay in doubt on a host that has them and recycles ports all the time', () => {
    const host = new Host()
    host.connect(0, 80)
    host.close()
    for (let at = 0; at < 20; at++) {
      host.wait(5)
      host.look()
      host.connect(0, 80)
      host.close()
    }
    host.wait(5)
    expect(host.look()).toEqual([100, 0, 'exact'])
  })

  test('are looked at again when another tcp_tw_reuse makes them matter', () => {
    const host = new Host()
    host.tcpTwReuse = 0
    host.own = 0
    host.connect(0, 40)
    host.own = 1
    host.look()
    host.tcpTwReuse = 1
    host.wait(5)
    host.look()
    host.close()
    host.wait(5)
    expect(host.look()).toEqual([60, 0, 'exact'])
  })
})
