import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Sample, WorkerOptions } from '../../src/sample.ts'
import { type Supervisor, startSupervisor } from '../../src/sampler/supervisor.ts'
import { isRead, makePipe } from '../support/program/hanging-procfs.ts'

const options = { procfs: '/proc' } as WorkerOptions

/** A real worker thread with a program of the test's own. */
function programOf(body: string): URL {
  const text = `import { parentPort as port, workerData } from 'node:worker_threads'\n${body}`
  return new URL(`data:text/javascript,${encodeURIComponent(text)}`)
}
const opens = `port.postMessage({ type: 'opened', reader: 'netlink', traits: {} });`
const answers = `port.on('message', () => port.postMessage({ type: 'sampled', sample: { ...workerData.options, named: [], opens: [], counted: [], namespaces: [] } }));`

function start(program: string) {
  const seen: string[] = []
  let wake = () => {}
  const note = (what: string) => {
    seen.push(what)
    wake()
  }
  const supervisor = startSupervisor(
    options,
    {
      opened: () => note('opened'),
      refused: (reason) => note(`refused: ${reason}`),
      sampled: (sample: Sample) => note(`sampled ${JSON.stringify(sample)}`),
      died: (reason, backoffMs) => note(`died, ${backoffMs}: ${reason.split('\n', 1)[0]}`),
      stuck: (reason) => note(`stuck: ${reason}`),
    },
    programOf(program),
  )
  /** Resolves when that many things have happened. */
  const until = async (count: number) => {
    while (seen.length < count) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    return seen
  }
  running.push(supervisor)
  return { supervisor, seen, until }
}

/** What three workers were told, by `was` of the sample that `make` makes. Each answers once, and dies of the second sample. */
async function tellLives(make: string): Promise<(string | undefined)[]> {
  const { supervisor, until } = start(
    `${opens} let samples = 0; port.on('message', ({ type }) => {
      if (type !== 'sample') return;
      if (++samples === 2) throw new Error('a bug');
      ${make}
      port.postMessage({ type: 'sampled', sample });
    });`,
  )
  const told: (string | undefined)[] = []
  for (let life = 0; life < 3; life++) {
    await until(3 * life + 1)
    supervisor.requestSample(0.1)
    told.push((await until(3 * life + 2)).at(-1))
    supervisor.requestSample(0.1)
    await until(3 * life + 3)
    vi.advanceTimersByTime(1000)
  }
  return told.map((sample) => /"was":(.*)\}/.exec(sample ?? '')?.[1])
}

/** A worker that hangs in the kernel at its first sample until the test is over: it reads a pipe that nobody writes. */
async function startHanging() {
  const pipe = join(mkdtempSync(join(tmpdir(), 'pipe-')), 'pipe')
  makePipe(pipe)
  const program = start(
    `import { openSync, readSync } from 'node:fs'
     ${opens}
     port.on('message', () => readSync(openSync(${JSON.stringify(pipe)}, 'r+'), Buffer.alloc(1)));`,
  )
  hanging.push(pipe)
  await program.until(1)
  program.supervisor.requestSample(0.1)
  while (!isRead(pipe)) await turn()
  return program
}

/** Long enough for a worker that does not hang to end. */
async function untilItWouldHaveEnded(): Promise<void> {
  const until = performance.now() + 1000
  while (performance.now() < until) await turn()
}

/** All timers are late, and run before any message is read; those that they set are not. */
const standStill = () => vi.runOnlyPendingTimers()
const turn = () => new Promise(setImmediate)
const hanging: string[] = []
const running: Supervisor[] = []
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })
})
afterEach(async () => {
  vi.useRealTimers()
  for (const pipe of hanging.splice(0)) {
    // Whoever reads it is at its end.
    writeFileSync(pipe, '.')
    rmSync(join(pipe, '..'), { recursive: true })
  }
  for (const supervisor of running.splice(0)) await supervisor.stop()
})

describe('startSupervisor()', () => {
  test('passes a sample on', async () => {
    const { supervisor, until } = start(opens + answers)
    await until(1)
    supervisor.requestSample(0.1)
    expect(await until(2)).toEqual([
      'opened',
      'sampled {"procfs":"/proc","named":[],"opens":[],"counted":[],"namespaces":[]}',
    ])
  })

  test('says why the first worker cannot work, and starts no other', async () => {
    const { seen, until } = start(`port.postMessage({ type: 'refused', message: 'no source' })`)
    await until(1)
    vi.advanceTimersByTime(100_000)
    expect(seen).toEqual(['refused: no source'])
  })

  test('takes a worker that cannot even start for one that cannot work', async () => {
    const { until } = start(`throw new Error('a broken install')`)
    expect((await until(1))[0]).toMatch(/^refused: Error: a broken install/)
  })

  test('starts the next worker when one dies, after 1, 2, 4 ... at most 30 seconds', async () => {
    const { supervisor, seen, until } = start(
      `${opens} port.on('message', () => { throw new Error('a bug') });`,
    )
    for (const backoffMs of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
      seen.length = 0
      await until(1)
      supervisor.requestSample(0.1)
      expect(await until(2)).toEqual(['opened', `died, ${backoffMs}: Error: a bug`])
      vi.advanceTimersByTime(backoffMs - 1)
      expect(seen).toHaveLength(2)
      seen.length = 0
      vi.advanceTimersByTime(1)
    }
  })

  test('tells each worker of the connections that probes made, although the one before could not look', async () => {
    const told = await tellLives(`
      const { opens: was } = workerData;
      const sample = { named: [], namespaces: [], opens: was.length === 0 ? [['own', 5]] : [], counted: [], was };
    `)
    expect(told).toEqual(['[]', '[["own",5]]', '[["own",5]]'])
  })

  test('tells each worker what conntrack had counted, although the one before could not look', async () => {
    const told = await tellLives(`
      const { counted: was } = workerData;
      const counted = was.length === 0 ? [['own', { found: { cpus: [7], total: 5 } }]] : [];
      const sample = { named: [], namespaces: [], opens: [], counted, was };
    `)
    const kept = '[["own",{"found":{"cpus":[7],"total":5}}]]'
    expect(told).toEqual(['[]', kept, kept])
  })

  test('tells each worker the names that the one before told last, whatever rows it had', async () => {
    const told = await tellLives(`
      const { given: was } = workerData;
      const named = was.length === 0 ? [['own', { netns: 'host', netnsKind: 'host' }]] : undefined;
      const sample = { named, namespaces: [], opens: [], counted: [], was };
    `)
    const kept = '[["own",{"netns":"host","netnsKind":"host"}]]'
    expect(told).toEqual(['[]', kept, kept])
  })

  test('ends a worker that does not answer in time, and starts another', async () => {
    const { supervisor, until } = start(`${opens} port.on('message', () => { for (;;); });`)
    await until(1)
    supervisor.requestSample(0.1)
    vi.advanceTimersByTime(59_999)
    await new Promise(setImmediate)
    vi.advanceTimersByTime(1)
    expect((await until(2))[1]).toMatch(/^died, 1000: it took more than 60 s for a sample/)
    vi.advanceTimersByTime(5000)
    expect((await until(3)).slice(2)).toEqual(['opened'])
  })

  test.runIf(process.platform === 'linux')(
    'says so 5 s after it should have ended a worker that hangs in the kernel',
    async () => {
      const { seen } = await startHanging()
      vi.advanceTimersByTime(60_000)
      await untilItWouldHaveEnded()
      vi.advanceTimersByTime(4999)
      expect(seen).toEqual(['opened'])
      vi.advanceTimersByTime(1)
      await turn()
      expect(seen).toEqual(['opened', 'stuck: it took more than 60 s for a sample'])
    },
  )

  test('does not end a worker that could not answer because the machine stood still', async () => {
    const { supervisor, seen, until } = start(
      `${opens} port.on('message', ({ type }) => {
        if (type === 'pods') port.postMessage({ type: 'sampled', sample: { opens: [], counted: [] } });
      });`,
    )
    await until(1)
    supervisor.requestSample(0.1)
    standStill()
    supervisor.tellPods([], true)
    await until(2)
    expect(seen).toEqual(['opened', 'sampled {"opens":[],"counted":[]}'])
  })

  test.runIf(process.platform === 'linux')(
    'does not say so because the machine stood still after that',
    async () => {
      const { seen } = await startHanging()
      vi.advanceTimersByTime(60_000)
      standStill()
      await turn()
      expect(seen).toEqual(['opened'])
      vi.advanceTimersByTime(4000)
      expect(seen).toEqual(['opened', 'stuck: it took more than 60 s for a sample'])
    },
  )

  test.runIf(process.platform === 'linux')(
    'says so 5 s after it was told to stop while the worker hangs in the kernel',
    async () => {
      const { supervisor, seen } = await startHanging()
      void supervisor.stop()
      await untilItWouldHaveEnded()
      vi.advanceTimersByTime(4999)
      expect(seen).toEqual(['opened'])
      vi.advanceTimersByTime(1)
      await turn()
      expect(seen).toEqual(['opened', 'stuck: it was told to end'])
    },
  )

  test('stops within a moment while a sample is under way', async () => {
    const { supervisor, seen, until } = start(`${opens} port.on('message', () => { for (;;); });`)
    await until(1)
    supervisor.requestSample(0.1)
    await supervisor.stop()
    vi.advanceTimersByTime(100_000)
    expect(seen).toEqual(['opened'])
  })
})
