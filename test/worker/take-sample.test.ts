import { describe, expect, test } from 'vitest'
import type { PortTests } from '../../src/model/hidden-ports.ts'
import { createStep } from '../../src/model/step.ts'
import { DecodeError, type NamespaceReading, SourceError } from '../../src/observation.ts'
import type { BucketWatch } from '../../src/worker/bucket-watch.ts'
import type { Prober } from '../../src/worker/prober.ts'
import { plainSocket } from '../support/kernel/netlink-builder.ts'
import { createReading, plainStepOptions, replayDumps } from '../support/kernel/readings.ts'
import { type Asked, createSampling, createScriptedSource } from '../support/kernel/sampling.ts'

const quiet = () =>
  createReading(replayDumps([{ protocol: 'tcp', explicit: false, sockets: [plainSocket] }]))

function* failHalfway(error: Error): NamespaceReading['batches'] {
  yield* quiet().batches
  throw error
}

const STARTED_AT_SECONDS = 1_700_000_000

/** Plays one answer after another; a clock that moves a second each time it is asked. */
function createScript(
  answers: readonly (() => NamespaceReading | Promise<NamespaceReading>)[],
  asked?: Asked,
) {
  let turn = 0
  let now = 0
  const source = createScriptedSource(async () => {
    const answer = answers[turn++]
    if (answer === undefined) throw new Error('the script is over')
    return answer()
  })
  const step = createStep(plainStepOptions)
  const clocks = {
    unixSeconds: () => STARTED_AT_SECONDS + now++,
    monotonicSeconds: () => now++,
    cpuSeconds: () => now / 10,
  }
  return createSampling(source, step, clocks, asked)
}

describe('takeSample()', () => {
  test('gives what the model learned, with the time of each stage', async () => {
    const sample = await createScript([quiet])()
    expect(sample.namespaces[0]?.state?.protocols[0]?.usedPorts).toBe(1)
    expect(sample.readErrors).toEqual([])
    const { discover, read, model, other } = sample.durations
    expect([discover, read, model, other].map((seconds) => seconds > 0)).toEqual(
      Array(4).fill(true),
    )
    expect(sample.collectors).toEqual([
      { collector: 'sockets', success: true, durationSeconds: discover + read + model },
    ])
    expect(sample.cpuSeconds).toBeGreaterThan(0)
    expect(sample.takenAtSeconds - (discover + read + model + other)).toBeLessThanOrEqual(
      STARTED_AT_SECONDS,
    )
  })

  test('says that the process which stays in its own namespace leads there', async () => {
    const [found] = (
      await createScript([quiet], { prober: undefined, buckets: undefined, ownPid: 42 })()
    ).namespaces
    expect(found).toMatchObject({ netns: 'self', entrance: { pid: 42 } })
    const [alone] = (await createScript([quiet])()).namespaces
    expect(alone).toMatchObject({ netns: 'self', entrance: { pid: undefined } })
  })

  test('counts a walk for names of owners neither as the model nor as reading sockets', async () => {
    let now = 1000
    const source = {
      reader: 'netlink' as const,
      synchronous: false as const,
      entersNamespaces: false as const,
      traits: {},
      read: async () => ({ ...quiet(), ownersBy: 'user' as const }),
    }
    const clock = () => now
    const clocks = { unixSeconds: clock, monotonicSeconds: clock, cpuSeconds: clock }
    const step = createStep({ ...plainStepOptions, owners: true })
    const takeSample = createSampling(source, step, clocks, {
      ...{ prober: undefined, buckets: undefined },
      nameOwnersOf: () => () => {
        now += 7
        return () => undefined
      },
    })
    const { durations, collectors } = await takeSample()
    expect(durations).toEqual({ discover: 0, read: 0, model: 0, other: 7 })
    expect(collectors).toMatchObject([{ collector: 'sockets', durationSeconds: 0 }])
  })

  test('asks what to know ports by only where the buckets do not tell of all of them', async () => {
    const marked: number[] = []
    const prober: Prober = {
      testsOf: (_memory, _state, marks) => {
        marked.push(marks().size)
        return new Map()
      },
      allocate: () => undefined,
      testPorts: () => undefined,
      collector: () => ({ collector: 'probe', success: true, durationSeconds: 0 }),
    }
    const answers: (PortTests | undefined)[] = [
      undefined,
      new Map([[plainSocket.localPort, { closed: false, testedAtSeconds: 1 }]]),
      undefined,
    ]
    const buckets: BucketWatch = {
      absence: undefined,
      resolve: () => answers[marked.length],
      collector: () => undefined,
    }
    const takeSample = createScript([quiet, quiet, quiet], { prober, buckets })
    for (const _ of answers) await takeSample()
    expect(marked).toEqual([1, 0, 1])
  })

  test('looks for tunnels where the kernel may hold a UDP port, whether or not listeners have rows', async () => {
    const tunnel = { ...plainSocket, state: 7, remotePort: 0 }
    const udp = () =>
      createReading(replayDumps([{ protocol: 'udp', explicit: true, sockets: [tunnel] }]))
    let [now, looks] = [0, 0]
    const clock = () => now
    const source = {
      ...{
        reader: 'netlink' as const,
        synchronous: false as const,
        entersNamespaces: false as const,
        traits: {},
      },
      read: async () => udp(),
    }
    const takeSample = createSampling(
      source,
      createStep({ ...plainStepOptions, listeners: false }),
      { unixSeconds: clock, monotonicSeconds: clock, cpuSeconds: clock },
      {
        ...{ prober: undefined, buckets: undefined },
        peers: {
          asker: () => undefined,
          looker: () => undefined,
          lister: () => undefined,
          devices: () => new Map(),
          tunnelPorts: () => {
            looks++
            return new Set<number>()
          },
        },
      },
    )
    for (; now <= 120; now += 30) await takeSample()
    expect(looks).toBe(1)
  })

  test.each([
    ['a refused read', new SourceError('permission', 'Cannot read'), 'permission'],
    ['garbled bytes', new DecodeError('Cannot decode', 7), 'malformed'],
  ])('turns %s into data and drops the last reading', async (_what, error, reason) => {
    const takeSample = createScript([
      quiet,
      () => {
        throw error
      },
      () => ({ ...quiet(), batches: failHalfway(error) }),
      () => Promise.reject(error),
      quiet,
    ])
    await takeSample()
    for (let turn = 0; turn < 3; turn++) {
      const sample = await takeSample()
      expect(sample.namespaces).toMatchObject([
        { netns: 'self', state: undefined, failure: { reason, message: error.message } },
      ])
      expect(sample.readErrors).toEqual([reason])
      expect(sample.collectors[0]?.success).toBe(false)
    }
    expect((await takeSample()).namespaces[0]?.state).toBeDefined()
  })

  test('does not take a fault of our own for a failed read', async () => {
    const takeSample = createScript([
      () => {
        throw new TypeError('a bug')
      },
    ])
    await expect(takeSample()).rejects.toThrow('a bug')
  })
})
