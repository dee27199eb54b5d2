import { describe, expect, test } from 'vitest'
import { createStep } from '../../src/model/step.ts'
import { plainSocket } from '../support/kernel/netlink-builder.ts'
import {
  createReading,
  plainSettings,
  plainStepOptions,
  replayDumps,
} from '../support/kernel/readings.ts'
import { createSampling, createScriptedSource } from '../support/kernel/sampling.ts'

const SAMPLES = 30
const INTERVAL_SECONDS = 5
const RANGE = { first: 32_768, last: 33_767 }
const PORTS_A_SAMPLE = 20

/** What is said of the pools, sample by sample, while ports leak. The clock on the wall steps in the middle. */
async function watchLeak(stepSeconds: number) {
  let turn = 0
  const source = createScriptedSource(async () => {
    const sockets = Array.from({ length: turn * PORTS_A_SAMPLE }, (_, index) => ({
      ...plainSocket,
      localPort: RANGE.first + index,
    }))
    return createReading(replayDumps([{ protocol: 'tcp', explicit: false, sockets }]), {
      ...plainSettings,
      range: RANGE,
    })
  })
  const clocks = {
    unixSeconds: () =>
      1_700_000_000 + turn * INTERVAL_SECONDS + (turn < SAMPLES / 2 ? 0 : stepSeconds),
    monotonicSeconds: () => 1000 + turn * INTERVAL_SECONDS,
    cpuSeconds: () => turn,
  }
  const takeSample = createSampling(source, createStep(plainStepOptions), clocks)
  const said = []
  for (turn = 1; turn <= SAMPLES; turn++) {
    const { namespaces, takenAtSeconds } = await takeSample()
    const states = namespaces.map((one) => (typeof one === 'string' ? one : one.state?.pools))
    said.push({ states, takenAtSeconds })
  }
  return said
}

describe('takeSample() while the clock on the wall steps', () => {
  test.each([3600, -3600])('by %s s says the same of all pools, at another time', async (by) => {
    const steady = await watchLeak(0)
    const stepped = await watchLeak(by)
    expect(stepped.map(({ states }) => states)).toEqual(steady.map(({ states }) => states))
    const last = steady.at(-1)
    expect(stepped.at(-1)?.takenAtSeconds).toBe((last?.takenAtSeconds ?? 0) + by)
    // 400 ports are left, 4 go in a second.
    expect(JSON.stringify(last?.states)).toMatch(/"riskRatio":(1|0\.9)/)
  })
})
