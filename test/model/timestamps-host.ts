// A host with connections to itself, whose own timestamps can be switched, and an exporter that looks when it is told to.

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

interface Connection {
  readonly port: number
  readonly timestamps: boolean
  /** Last bytes of the peer and of the own address. */
  readonly to: number
  readonly from: number
  readonly state: 'live' | 'closing' | 'timeWait'
  readonly endedAtSeconds: number
}

export class Host {
  own = 1
  tcpTwReuse = 1
  canLook = true
  canAsk = false
  doesLookFail = false
  seconds = 0
  #connections: readonly Connection[] = []
  readonly #step = createStep(plainStepOptions)
  #state: ModelState | undefined

  connect(first: number, count: number, to = 1, from = 1): void {
    const made = Array.from({ length: count }, (_, at) => ({
      ...{ port: FIRST + first + at, timestamps: this.own !== 0, to, from },
      ...{ state: 'live' as const, endedAtSeconds: 0 },
    }))
    const isSame = (one: Connection) =>
      made.some(({ port }) => port === one.port) && to === one.to && from === one.from
    this.#connections = [...this.#connections.filter((one) => !isSame(one)), ...made]
  }

  close(to = 1, from = 0): void {
    this.#connections = this.#connections.map((one) =>
      one.to === to && one.state === 'live' && one.port >= FIRST + from
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

  lookAfter(seconds: number) {
    this.wait(seconds)
    return this.look()
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
    const look = this.doesLookFail ? () => undefined : shows(live)
    const listener = { ...this.#wireOf(undefined), state: 10, remotePort: 0, localPort: 443 }
    const { state, namespace } = this.#step(this.#state, reading, {
      ...{ atSeconds: this.seconds, unixSeconds: 1_700_000_000 },
      lookTimestamps: this.canLook ? look : undefined,
      askTimestamps: this.canAsk ? ({ address }) => this.#answerOf(address) : undefined,
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

  #answerOf(address: readonly number[]) {
    const told = this.#connections
      .filter(({ state, to }) => state === 'live' && to === ((address[3] ?? 0) & 0xff))
      .map(({ timestamps }) => timestamps)
    const [first] = told
    return told.every((one) => one === first) ? first : 'mixed'
  }

  #wireOf(one: Connection | undefined): WireSocket {
    const isWaiting = one?.state === 'timeWait'
    const left = 60 - (this.seconds - (one?.endedAtSeconds ?? 0))
    return {
      ...plainSocket,
      ...{ device: 0, local: [127, 0, 0, one?.from ?? 1], remote: [127, 0, 0, one?.to ?? 0] },
      ...{ localPort: one?.port ?? 0, remotePort: 443, state: isWaiting ? 6 : 1 },
      ...(isWaiting && { timer: 3, expiresMs: 1000 * left - 1 }),
    }
  }
}
