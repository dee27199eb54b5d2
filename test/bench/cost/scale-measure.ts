// One scene of `npm run bench:scale` -> what a sample of it costs the running program, and the floor.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Snapshot } from '../../../src/snapshot.ts'
import { openLibc } from '../../support/kernel/libc.ts'
import { createExporterOperations } from '../../support/netns/actor-exporter.ts'
import { furnishNetns } from '../../support/netns/netns.ts'
import { createChildren } from './children.ts'
import { countSockets } from './contenders.ts'
import { openFloor } from './floor.ts'
import { takeMedian } from './report.ts'
import { openConnections, openNamespaces } from './scale-holders.ts'
import type { Result } from './scale-report.ts'
import type { Range, Scene } from './scale-scenes.ts'

/** As fast as samples can be taken, so that little else is in the figures and no namespace has to wait for its budget. */
const FLAGS = ['--sample.interval=100ms', '--sample.cpu-budget=1', '--no-collector.buckets']
const EVERY_NAMESPACE = ['--netns=all', '--netns.max=2000']
/** As the image and the systemd unit start it. */
const ENVIRONMENT = { NODE_OPTIONS: '--max-semi-space-size=4' }
/** Of the program, and of those who ask it. */
const OWN_PORTS = '10132,11000-19999'
/** The compiler needs many samples and much time to learn what is hot. */
const WARM_UPS = 8
const WARM_UP_MS = 30_000
const ROUNDS = 3
const SAMPLES_A_ROUND = 5
/** Of what the program is left alone for in each round; a sample of a thousand busy namespaces takes ten seconds. */
const SHORTEST_MS = 3000
const LONGEST_MS = 25_000
/** No round begins later than that. */
const ROUNDS_MS = 90_000
/** Namespaces that the floor lists beside our own. All are alike, and listing a thousand may take it minutes. */
const MOST_IN_FLOOR = 100
const SCRAPES = 30
const AS_PROMETHEUS = { 'accept-encoding': 'gzip' }
const SCRAPES_MS = 30_000
const SCENE_MS = 600_000

/** To be called in a network namespace of its own, which it furnishes. */
export async function measure(scene: Scene): Promise<Result> {
  const children = createChildren()
  const exporter = createExporterOperations()
  const startedMs = performance.now()
  try {
    furnishNetns(openLibc())
    writeFileSync('/proc/sys/net/core/somaxconn', '1048576')
    setRange(scene.made, OWN_PORTS)
    await openConnections(children, scene)
    setRange(scene.seen, '')
    const others = await openNamespaces(children, scene)
    const strangers = countStrangers(scene)
    const [first, last] = scene.seen
    const step = Math.max(1, others.length / MOST_IN_FLOOR)
    const listed = others.filter((_, at) => at % step < 1)
    const floor = openFloor(children, { first, last }, [], listed)
    const alike = openFloor(children, { first, last }, ['idle-once', 'files'], listed)
    const all = scene.namespaces > 0 ? EVERY_NAMESPACE : []
    const { pid } = await exporter.startExporter({
      flags: [...FLAGS, ...all],
      environment: ENVIRONMENT,
    })

    const readSnapshot = async () => {
      const { body } = await exporter.get({ path: '/api/v1/snapshot' })
      const { snapshot }: { snapshot: Snapshot } = JSON.parse(body)
      if (snapshot.workerRestarts > 0) throw new Error('The sampling worker was started again')
      return snapshot
    }
    /** Waits until at least so many samples have been taken. */
    const waitFor = async (samples: number) => {
      for (;;) {
        if (performance.now() - startedMs > SCENE_MS) throw new Error('It takes too long')
        await delay(500)
        const snapshot = await readSnapshot()
        // Where others have the CPUs the newest sample may be so old that nothing is said of it any more.
        const isFresh = snapshot.namespaces.some(({ state }) => state !== undefined)
        if (isFresh && snapshot.samples >= samples) return snapshot
      }
    }
    await delay(WARM_UP_MS)
    let snapshot = await waitFor(WARM_UPS)
    while (snapshot.namespaces.length < 1 + others.length) {
      snapshot = await waitFor(snapshot.samples + 1)
    }
    const floorMs: number[] = []
    const alikeMs: number[] = []
    const sampleMs: number[] = []
    const seen: Seen[] = []
    let rows = 0
    const roundsFromMs = performance.now()
    for (let round = 0; round < ROUNDS; round++) {
      if (round > 0 && performance.now() - roundsFromMs > ROUNDS_MS) break
      process.kill(pid, 'SIGSTOP')
      const plain = await floor.sample()
      rows = plain.rows
      floorMs.push(plain.cost.cpuMs)
      alikeMs.push((await alike.sample()).cost.cpuMs)
      process.kill(pid, 'SIGCONT')
      // The one that was interrupted took long, and may have left namespaces to the next.
      const before = await waitFor((await readSnapshot()).samples + 2)
      const share = await measureShare(pid, durationMs(before) * SAMPLES_A_ROUND)
      snapshot = await waitFor(before.samples + 1)
      const periodMs =
        ((snapshot.takenAtSeconds - before.takenAtSeconds) * 1000) /
        (snapshot.samples - before.samples)
      sampleMs.push(share * periodMs)
      seen.push(countRead(before), countRead(snapshot))
    }
    checkSeen(snapshot, scene)

    const [scrapes, empty]: [number[], number[]] = [[], []]
    const ask = async (path: string, times: number[]) => {
      const before = performance.now()
      const { status } = await exporter.get({ path, headers: AS_PROMETHEUS })
      if (status !== 200) throw new Error(`Cannot get ${path}: status ${status}`)
      times.push(performance.now() - before)
    }
    const scrapesFromMs = performance.now()
    for (let turn = 0; turn < SCRAPES; turn++) {
      if (turn > 0 && performance.now() - scrapesFromMs > SCRAPES_MS) break
      await ask('/metrics', scrapes)
      await ask('/-/healthy', empty)
    }
    const page = await exporter.get({ path: '/metrics' })
    const mean = (of: keyof Seen) => seen.reduce((sum, one) => sum + one[of], 0) / seen.length
    return {
      strangers,
      rows,
      sampleMs: takeMedian(sampleMs),
      floorMs: takeMedian(floorMs),
      alikeMs: takeMedian(alikeMs),
      listed: 1 + listed.length,
      read: mean('read'),
      postponed: mean('postponed'),
      residentMb: readResidentMb(pid),
      scrapeMs: takeMedian(scrapes),
      emptyMs: takeMedian(empty),
      longestScrapeMs: Math.max(...scrapes),
      pageMb: page.body.length / 1e6,
    }
  } finally {
    await exporter.killExporters()
    await children.end()
  }
}

function setRange(range: Range, reserved: string): void {
  writeFileSync('/proc/sys/net/ipv4/ip_local_port_range', range.join(' '))
  writeFileSync('/proc/sys/net/ipv4/ip_local_reserved_ports', `${reserved}\n`)
}

/** TCP sockets of the machine that are none of the scene's: a dump walks over them too. */
function countStrangers({ connections, namespaces, connectionsEach }: Scene): number {
  const sockstat = readFileSync('/proc/net/sockstat', 'utf8')
  const all = Number(/^TCP: .*\balloc (\d+)\b/m.exec(sockstat)?.[1])
  return Math.max(0, all - 2 * connections - namespaces * (2 * connectionsEach + 1))
}

/** Of one core, by all threads of a program that nobody asks for anything meanwhile: that would cost something too. */
async function measureShare(pid: number, ms: number): Promise<number> {
  const [cpuBefore, before] = [readCpuMs(pid), performance.now()]
  await delay(Math.min(Math.max(ms, SHORTEST_MS), LONGEST_MS))
  return (readCpuMs(pid) - cpuBefore) / (performance.now() - before)
}

/** User and system time of all threads that run now. */
function readCpuMs(pid: number): number {
  const tasks = `/proc/${pid}/task`
  const onCpuNs = readdirSync(tasks).map((task) =>
    Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]),
  )
  return onCpuNs.reduce((sum, ns) => sum + ns, 0) / 1e6
}

function readResidentMb(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return (Number(kib) * 1024) / 1e6
}

function durationMs({ durations }: Snapshot): number {
  return Object.values(durations).reduce((sum, seconds) => sum + seconds, 0) * 1000
}

/** In the last sample. */
interface Seen {
  /** Namespaces whose sockets it has listed. */
  readonly read: number
  readonly postponed: number
}

function countRead(snapshot: Snapshot): Seen {
  // The clock on the wall tells whole milliseconds.
  const began = snapshot.takenAtSeconds - (durationMs(snapshot) + 1) / 1000
  const read = snapshot.namespaces.filter(({ state }) => (state?.readAtSeconds ?? 0) >= began)
  return { read: read.length, postponed: snapshot.leftOut?.postponed ?? 0 }
}

/** Whether the program has found what is there: otherwise what that costs is of no interest. */
function checkSeen({ namespaces }: Snapshot, scene: Scene): void {
  const expected = 1 + scene.namespaces
  if (namespaces.length !== expected) {
    throw new Error(`The program shows ${namespaces.length} namespaces instead of ${expected}`)
  }
  for (const namespace of namespaces) {
    const sockets = countSockets(namespace)
    if (namespace.netns === 'self' || sockets === scene.connectionsEach) continue
    throw new Error(`The program has found ${sockets} sockets in ${namespace.netns}`)
  }
}
