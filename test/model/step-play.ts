// Connections of several destinations through the whole model, as the sampler feeds it, without netlink's bytes between.

import { createStep, type ModelState } from '../../src/model/step.ts'
import { createSocketBatch, FLAG, type NetSettings, STATE } from '../../src/observation.ts'
import type { Pool, PoolName } from '../../src/snapshot.ts'
import { createReading, plainSettings } from '../support/kernel/readings.ts'

/** A port of the range, counted from its first one, that a connection to a destination holds. */
export interface Hold {
  readonly port: number
  /** Last byte of the remote address. */
  readonly to: number
  readonly state: 'established' | 'timeWait' | 'finWait2'
  /** What is left of a TIME_WAIT or of a FIN_WAIT2 without owner. */
  readonly expiresMs?: number
}

export interface Line {
  readonly ports: number
  readonly settings?: Partial<NetSettings>
  readonly horizonSeconds?: number
  readonly top?: number
}

/** Creates a model that takes one sample after the other. */
export function createLine({ ports, settings, horizonSeconds = 900, top = 10 }: Line): {
  readonly state: () => ModelState | undefined
  readonly look: (atSeconds: number, holds: readonly Hold[]) => (name: PoolName) => Pool
} {
  const step = createStep({
    top,
    peakWindowSeconds: 60,
    forecastHorizonSeconds: horizonSeconds,
    destinations: true,
    listeners: true,
    owners: false,
  })
  const range = { first: 40_000, last: 39_999 + ports }
  const all = { ...plainSettings, range, ...settings }
  let state: ModelState | undefined
  return {
    state: () => state,
    look: (atSeconds, holds) => {
      const reading = createReading([createBatch(holds, range.first)], all)
      const taken = step(state, reading, { atSeconds, unixSeconds: 1_700_000_000 + atSeconds })
      state = taken.state
      return (name) => {
        const pool = taken.namespace.pools.find((one) => one.pool === name)
        if (pool === undefined) throw new Error(`There is no pool ${name}`)
        return pool
      }
    },
  }
}

/** Established connections that hold the first ports. */
export function establish(to: number, ports: number): readonly Hold[] {
  return Array.from({ length: Math.round(ports) }, (_, port) => ({
    port,
    to,
    state: 'established',
  }))
}

function createBatch(holds: readonly Hold[], first: number) {
  const batch = createSocketBatch(Math.max(1, holds.length))
  batch.length = holds.length
  holds.forEach(({ port, to, state, expiresMs }, row) => {
    batch.state[row] = STATE[state]
    batch.flags[row] = state === 'established' ? 0 : FLAG.minisock
    batch.localPort[row] = first + port
    batch.remotePort[row] = 443
    batch.localAddress.set([0, 0, 0xffff, 0x0a000005], row * 4)
    batch.remoteAddress.set([0, 0, 0xffff, 0xc0a80000 + to], row * 4)
    batch.expiresMs[row] = expiresMs ?? 0
  })
  return batch
}
