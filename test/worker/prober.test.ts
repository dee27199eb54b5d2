import { describe, expect, test, vi } from 'vitest'
import { createFailureLog } from '../../src/failure-log.ts'
import type { NamespaceState, Pool } from '../../src/snapshot.ts'
import { createProber, startProbeMemory } from '../../src/worker/prober.ts'
import { createFakeSockets, ERRNO } from '../failures/fake-sockets.ts'
import { sampleSnapshot, sampleState } from '../support/render/sample-snapshot.ts'

/** The clock moves that far whenever somebody binds. */
function createProbing(refusals: Parameters<typeof createFakeSockets>[0] = {}, bindSeconds = 0) {
  const clock = { now: 1000, connects: 0 }
  const sockets = createFakeSockets(refusals)
  const libc = {
    ...sockets,
    bind: (fd: number, address: Uint8Array) => {
      clock.now += bindSeconds
      sockets.bind(fd, address)
    },
    connect: (fd: number, address: Uint8Array) => {
      clock.connects++
      sockets.connect(fd, address)
    },
  }
  const prober = createProber({
    libc,
    monotonicSeconds: () => clock.now,
    random: () => 0,
    detailMinUtilization: 0.2,
  })
  const countOf = (name: string) => sockets.calls.filter(([call]) => call === name).length
  return { prober, clock, countOf }
}

const [connectPool, bindPool] = sampleState.pools as [Pool, Pool]
/** Of 1,000 ports that share has sockets; to the worst destination nearly all seem to be available. */
const stateOf = (usedRatio: number): NamespaceState => ({
  ...sampleState,
  pools: [
    { ...bindPool, utilizationRatio: 1 },
    {
      ...connectPool,
      ...{ capacityPorts: 1000, availablePorts: 990, utilizationRatio: 0.01 },
      unusedPorts: 1000 * (1 - usedRatio),
    },
  ],
})

const noMarks = () => new Map()

describe('testsOf()', () => {
  test('asks for tests where so many ports have sockets, however few the worst destination has', () => {
    const { prober } = createProbing()
    const memory = startProbeMemory()
    expect(prober.testsOf(memory, stateOf(0.2), noMarks)).toBe(memory.tests)
    expect(prober.testsOf(memory, stateOf(0.19), noMarks)).toBeUndefined()
    expect(prober.testsOf(memory, { ...sampleState, pools: [bindPool] }, noMarks)).toBeUndefined()
    // Where bound sockets are not seen, ports that look unused may be held by them.
    const pools = stateOf(0).pools.map((pool) => ({ ...pool, unusedPorts: undefined }))
    expect(prober.testsOf(memory, { ...sampleState, pools }, noMarks)).toBe(memory.tests)
    // Nothing is known of a namespace that is new.
    expect(prober.testsOf(memory, undefined, noMarks)).toBeUndefined()
  })

  test('forgets the answers of ports whose connections are others than before the tests', () => {
    const { prober } = createProbing()
    const memory = startProbeMemory()
    const look = (marks: readonly (readonly [number, number])[]) => [
      ...(prober.testsOf(memory, stateOf(1), () => new Map(marks))?.keys() ?? []),
    ]
    const both = [
      [40_000, 5],
      [40_001, 6],
    ] as const
    look(both)
    prober.testPorts(memory, [40_000, 40_001])
    expect(look(both)).toEqual([40_000, 40_001])
    expect(look([both[0], [40_001, 7]])).toEqual([40_000])
    // The old ones may be back, and others may have been there in between.
    expect(look(both)).toEqual([40_000])
    expect(look([])).toEqual([])
  })

  test('forgets the answers that are older than a minute, also where nobody looked in between', () => {
    const { prober, clock } = createProbing()
    const memory = startProbeMemory()
    const marks = () => new Map([[40_000, 5]])
    const look = (usedRatio: number) => prober.testsOf(memory, stateOf(usedRatio), marks)?.size
    look(1)
    prober.testPorts(memory, [40_000])
    clock.now += 30
    expect(look(0.1)).toBeUndefined()
    clock.now += 30
    expect(look(1)).toBe(1)
    expect(look(0.1)).toBeUndefined()
    clock.now += 1
    expect(look(1)).toBe(0)
  })
})

describe('probe()', () => {
  test('allocates a TCP and a UDP port as an application would', () => {
    const { prober } = createProbing({}, 0.25)
    const memory = startProbeMemory()
    prober.allocate(memory)
    expect(memory.probes).toEqual([
      { pool: 'tcp_bind', success: true, durationSeconds: 0.25 },
      { pool: 'udp', success: true, durationSeconds: 0.25 },
    ])
    expect(prober.collector().durationSeconds).toBe(0.5)
    expect(prober.collector().durationSeconds).toBe(0)
  })

  test('lets a namespace rest for a hundred times what the canary took there', () => {
    const { prober, clock, countOf } = createProbing({ bind: ERRNO.EADDRINUSE }, 0.02)
    const [full, other] = [startProbeMemory(), startProbeMemory()]
    prober.allocate(full)
    const { probes } = full
    expect(probes.map(({ success }) => success)).toEqual([false, false])
    const start = full.probedAtSeconds
    for (clock.now of [start + 0.04, start + 3.99]) prober.allocate(full)
    expect(countOf('bind')).toBe(2)
    expect(full.probes).toBe(probes)
    // Another one has not taken anything.
    prober.allocate(other)
    expect(countOf('bind')).toBe(4)
    clock.now = start + 4.01
    prober.allocate(full)
    expect(countOf('bind')).toBe(6)
  })

  test('says nothing of a pool where no socket is to be had', () => {
    const { prober } = createProbing({ socket: ERRNO.EMFILE })
    const memory = startProbeMemory()
    prober.allocate(memory)
    expect(memory.probes).toEqual([])
  })

  test('tests no port unless it is told which are in doubt', () => {
    const { prober, countOf } = createProbing()
    prober.allocate(startProbeMemory())
    expect(countOf('connect')).toBe(0)
    expect(prober.collector().problem).toBeUndefined()
  })

  test('remembers what the tests said, and how many of them opened a connection', () => {
    const { prober } = createProbing({ connect: ERRNO.EINPROGRESS })
    const memory = startProbeMemory()
    prober.testPorts(memory, [40_000, 40_001, 40_002])
    expect([...memory.tests.keys()].sort()).toEqual([40_000, 40_001, 40_002])
    expect(memory.opens).toBe(3)
    prober.testPorts(memory, [40_000])
    expect([memory.opens, [...memory.tests.keys()]]).toEqual([4, [40_000]])
  })

  test('counts no connection for a port that is closed', () => {
    const { prober } = createProbing({ connect: ERRNO.EADDRNOTAVAIL })
    const memory = startProbeMemory()
    prober.testPorts(memory, [40_000, 40_001])
    expect(memory.opens).toBe(0)
    expect([...memory.tests.values()].map(({ closed }) => closed)).toEqual([true, true])
  })

  test('tests at most 200 ports in a sample, and the others in the next', () => {
    const { prober, countOf } = createProbing({ connect: ERRNO.EADDRNOTAVAIL })
    const memory = startProbeMemory()
    const ambiguous = Array.from({ length: 300 }, (_, index) => 40_000 + index)
    prober.testPorts(memory, ambiguous)
    expect([countOf('connect'), memory.tests.size]).toEqual([200, 200])
    prober.collector()
    prober.testPorts(memory, ambiguous)
    expect([countOf('connect'), memory.tests.size]).toEqual([400, 300])
  })
})

describe('the allowance of a sample', () => {
  const portsOf = (count: number) => Array.from({ length: count }, (_, index) => 40_000 + index)

  /** Namespaces that are in doubt about so many ports each; what each tested in each of the samples. */
  function play(wants: readonly number[], samples: number): number[][] {
    const { prober, clock } = createProbing({ connect: ERRNO.EADDRNOTAVAIL })
    const all = wants.map((want) => ({ ambiguous: portsOf(want), memory: startProbeMemory() }))
    return Array.from({ length: samples }, () => {
      const tested = all.map(({ memory, ambiguous }) => {
        const before = clock.connects
        prober.testPorts(memory, ambiguous)
        return clock.connects - before
      })
      prober.collector()
      return tested
    })
  }
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

  test('is shared by all namespaces, and what one does not need goes to the others', () => {
    const samples = play([500, 20, 500, 500], 4)
    expect(samples.slice(1)).toEqual(Array(3).fill([60, 20, 60, 60]))
    for (const tested of samples) expect(sum(tested)).toBeLessThanOrEqual(200)
  })

  test('goes round where there are more namespaces than ports to test', () => {
    const samples = play(Array(500).fill(3), 16)
    for (const tested of samples) expect(sum(tested)).toBeLessThanOrEqual(200)
    const perNamespace = samples[0]?.map((_, index) => sum(samples.map((one) => one[index] ?? 0)))
    expect(Math.min(...(perNamespace ?? []))).toBeGreaterThanOrEqual(4)
  })
})

describe('collector()', () => {
  test('says why ports could not be tested, until they can', () => {
    const answers = { setsockopt: ERRNO.ENOPROTOOPT } as { setsockopt?: number }
    const { prober } = createProbing(answers)
    const problem = /^Cannot test ports: setsockopt/
    prober.testPorts(startProbeMemory(), [40_000])
    expect(prober.collector()).toMatchObject({
      success: false,
      problem: expect.stringMatching(problem),
    })
    // A sample without tests is no better news.
    prober.allocate(startProbeMemory())
    expect(prober.collector().problem).toMatch(problem)
    // Neither is one in which nothing is in doubt any more.
    prober.testPorts(startProbeMemory(), [])
    expect(prober.collector().problem).toMatch(problem)
    delete answers.setsockopt
    prober.testPorts(startProbeMemory(), [40_000])
    expect(prober.collector()).toMatchObject({ success: true, problem: undefined })
  })

  test('is logged once, whatever ports the tests of each sample begin with', () => {
    const { prober } = createProbing({ setsockopt: ERRNO.ENOPROTOOPT })
    const warn = vi.fn()
    const tell = createFailureLog({ debug: warn, info: warn, warn, error: warn })
    for (const port of [40_000, 41_000, 42_000]) {
      prober.testPorts(startProbeMemory(), [port])
      tell({ ...sampleSnapshot, namespaces: [], collectors: [prober.collector()] })
    }
    expect(warn).toHaveBeenCalledOnce()
  })

  test('does not forget what one namespace refused because the next did not', () => {
    const answers = { setsockopt: ERRNO.ENOPROTOOPT } as { setsockopt?: number }
    const { prober } = createProbing(answers)
    prober.testPorts(startProbeMemory(), [40_000])
    delete answers.setsockopt
    prober.testPorts(startProbeMemory(), [40_000])
    expect(prober.collector().success).toBe(false)
  })
})
