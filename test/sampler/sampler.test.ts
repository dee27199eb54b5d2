import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { countNoReadErrors } from '../../src/observation.ts'
import type { Sample, WorkerOptions } from '../../src/sample.ts'
import { type SamplerEvents, startSampler } from '../../src/sampler/sampler.ts'
import type { SupervisorEvents } from '../../src/sampler/supervisor.ts'
import type { Snapshot } from '../../src/snapshot.ts'
import { buildNamespace } from '../support/netns/namespace.ts'

const worker: WorkerOptions = {
  source: 'auto',
  procfs: '/proc',
  cgroup: undefined,
  everyNamespace: true,
  serving: true,
  mostNamespaces: 500,
  detailMinUtilization: 0.2,
  owners: true,
  kubernetes: false,
  failures: undefined,
  failuresAsked: false,
  tracefs: undefined,
  probe: false,
  buckets: undefined,
  platform: 'linux',
  ownPort: undefined,
  top: 10,
  peakWindowSeconds: 120,
  forecastHorizonSeconds: 900,
  destinations: true,
  listeners: true,
  nat: true,
  natRanges: [],
}
const sample: Sample = {
  takenAtSeconds: 1_700_000_000,
  durations: { discover: 0.001, read: 0.002, model: 0.003, other: 0.004 },
  namespaces: [],
  leftOut: { namespaces: 0, postponed: 0 },
  readErrors: [],
  collectors: [],
  absences: [],
  cpuSeconds: 0.01,
  recorded: undefined,
  named: [],
  opens: [],
  counted: [],
  wanted: { podUids: [], containerIds: [] },
}

/** A worker of the test's own making: `events` is how it speaks, `requests` counts what it was asked. */
function createScriptedWorker() {
  const script = { events: {} as SupervisorEvents, requests: 0, stops: 0 }
  const start = (_options: WorkerOptions, events: SupervisorEvents) => {
    script.events = events
    return {
      requestSample: () => {
        script.requests++
      },
      tellPods: () => {},
      stop: async () => {
        script.stops++
      },
    }
  }
  return { script, start }
}

function start() {
  const { script, start: startWorker } = createScriptedWorker()
  const snapshots: Snapshot[] = []
  const events: SamplerEvents = {
    opened: () => {},
    snapshot: (snapshot) => snapshots.push(snapshot),
    died: () => {},
    stuck: () => {},
  }
  const options = { configuredIntervalMs: 5000, cpuRatio: 0.02, worker }
  const sampler = startSampler(options, events, startWorker)
  const started = sampler.opened.then(() => sampler)
  return { script, snapshots, started }
}

const opened = {
  type: 'opened',
  reader: 'netlink',
  traits: {},
  refusals: [],
} as const

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('startSampler()', () => {
  test('asks for a sample at even distances, however long each takes', async () => {
    const { script, started } = start()
    script.events.opened(opened)
    await started
    expect(script.requests).toBe(1)
    vi.advanceTimersByTime(1200)
    script.events.sampled(sample)
    vi.advanceTimersByTime(3799)
    expect(script.requests).toBe(1)
    vi.advanceTimersByTime(1)
    expect(script.requests).toBe(2)
  })

  test('never asks for a second sample while one is under way', async () => {
    const { script, started } = start()
    script.events.opened(opened)
    await started
    vi.advanceTimersByTime(50_000)
    expect(script.requests).toBe(1)
    script.events.sampled(sample)
    vi.advanceTimersByTime(0)
    expect(script.requests).toBe(2)
  })

  test('stretches the interval to the budget, but not for what the first sample costs', async () => {
    const { script, snapshots, started } = start()
    script.events.opened(opened)
    await started
    script.events.sampled({ ...sample, cpuSeconds: 10 })
    script.events.sampled({ ...sample, cpuSeconds: 0.3 })
    expect(snapshots.map(({ intervalSeconds }) => intervalSeconds)).toEqual([5, 15])
  })

  test('counts samples, failures by reason and restarts', async () => {
    const { script, snapshots, started } = start()
    script.events.opened(opened)
    const sampler = await started
    script.events.sampled(sample)
    script.events.sampled({ ...sample, readErrors: ['permission', 'timeout'] })
    script.events.died('a test', 1000)
    script.events.opened(opened)
    script.events.sampled({ ...sample, readErrors: ['timeout'] })
    expect(snapshots.at(-1)).toMatchObject({
      samples: 3,
      workerRestarts: 1,
      failures: { ...countNoReadErrors(), permission: 1, timeout: 2 },
    })
    expect(snapshots[0]?.failures.timeout).toBe(0)
    expect(sampler.currentSnapshot()).toBe(snapshots.at(-1))
  })

  test('is ready with a fresh sample only', async () => {
    const { script, started } = start()
    script.events.opened(opened)
    const sampler = await started
    expect(sampler.readiness()).toEqual({ ready: false, reason: 'No sample has been taken yet' })
    script.events.sampled(sample)
    expect(sampler.readiness().ready).toBe(true)
    vi.advanceTimersByTime(17_000)
    expect(sampler.readiness().ready).toBe(true)
    vi.advanceTimersByTime(1000)
    expect(sampler.readiness()).toEqual({ ready: false, reason: 'The last sample is 18 s old' })
  })

  test('drops what it knew once no sample answers any more', async () => {
    const { script, started } = start()
    script.events.opened(opened)
    const sampler = await started
    const state = { pools: [] } as unknown as NonNullable<Snapshot['namespaces'][number]['state']>
    const nat = { pools: [] } as unknown as NonNullable<Snapshot['namespaces'][number]['nat']>
    const namespaces = [buildNamespace({ state, nat })]
    const collectors = [{ collector: 'sockets', success: true, durationSeconds: 1 }]
    script.events.sampled({ ...sample, namespaces, collectors })
    script.events.died('a test', 1000)
    expect(sampler.currentSnapshot()).toMatchObject({ workerRestarts: 1, namespaces })
    vi.advanceTimersByTime(18_000)
    const stale = sampler.currentSnapshot()
    expect(stale?.namespaces[0]).toMatchObject({
      ...{ state: undefined, nat: undefined, conntrack: undefined },
      failure: { reason: 'timeout' },
    })
    expect(stale?.collectors[0]?.success).toBe(false)
    expect(sampler.currentSnapshot()).toBe(stale)
  })

  test('is not ready while the worker is being restarted or nothing can be read', async () => {
    const { script, started } = start()
    script.events.opened(opened)
    const sampler = await started
    script.events.sampled(sample)
    script.events.died('a test', 1000)
    expect(sampler.readiness().ready).toBe(false)
    script.events.opened(opened)
    expect(sampler.readiness().ready).toBe(true)
    const failure = { reason: 'permission', message: 'Cannot read: EPERM' } as const
    const namespaces = [buildNamespace({ failure })]
    script.events.sampled({ ...sample, namespaces })
    expect(sampler.readiness()).toEqual({ ready: false, reason: 'Cannot read: EPERM' })
  })

  test('says why when no source works', async () => {
    const { script, started } = start()
    script.events.refused('No source of sockets works here')
    await expect(started).rejects.toThrow('No source of sockets works here')
  })

  test('asks for nothing more once it is stopped', async () => {
    const { script, started } = start()
    script.events.opened(opened)
    const sampler = await started
    script.events.sampled(sample)
    await sampler.stop()
    vi.advanceTimersByTime(60_000)
    expect([script.requests, script.stops]).toEqual([1, 1])
  })
})
