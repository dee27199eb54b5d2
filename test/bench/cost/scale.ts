// npm run bench:scale: what the running program costs where very many sockets are, in the range and outside of it, beside a C
// reader of plain dumps: CPU time of the whole process for a sample, resident memory, and how long a scrape takes meanwhile
// -> a table on the console and, with --write FILE, as Markdown. Needs Linux, root, gcc, and dist/.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Snapshot } from '../../../src/snapshot.ts'
import { openLibc } from '../../support/kernel/libc.ts'
import { createExporterOperations } from '../../support/netns/actor-exporter.ts'
import { whyNotExact } from '../../support/netns/live.ts'
import { enterFreshNetns } from '../../support/netns/netns.ts'
import { type Children, createChildren, ROOT, withDeadline } from './children.ts'
import { compile, openFloor } from './floor.ts'
import { renderTable, takeMedian } from './report.ts'

interface Scene {
  readonly name: string
  /** Each is two sockets: its client, and the end that a listener has accepted. */
  readonly connections: number
  readonly destinations: number
  /** The range while connections are made, and the one while they are looked at. */
  readonly made: Range
  readonly seen: Range
}

type Range = readonly [first: number, last: number]

interface Result {
  readonly rows: number
  readonly sampleMs: number
  readonly floorMs: number
  readonly residentMb: number
  readonly scrapeMs: number
  readonly emptyMs: number
}

const USUAL: Range = [32_768, 60_999]
const WIDE: Range = [1024, 65_535]
const FREE: Range = [61_000, 64_999]
const base = { connections: 0, destinations: 1, made: USUAL, seen: USUAL }
const scenes: readonly Scene[] = [
  { ...base, name: 'no sockets' },
  { ...base, name: '500,000 sockets, half in the range', connections: 250_000, destinations: 60 },
  { ...base, name: '1,000,000 sockets, half in the range', connections: 500_000, destinations: 60 },
  {
    ...base,
    name: '1,000,000 sockets, all outside',
    connections: 500_000,
    destinations: 60,
    seen: FREE,
  },
  {
    ...base,
    name: '30,000 destinations, two connections each',
    connections: 60_000,
    destinations: 30_000,
  },
  {
    ...base,
    name: 'a proxy of 60,000 sockets',
    connections: 30_000,
    destinations: 20,
    made: WIDE,
    seen: WIDE,
  },
  {
    ...base,
    name: 'a proxy of 300,000 sockets',
    connections: 150_000,
    destinations: 20,
    made: WIDE,
    seen: WIDE,
  },
]
const SERVERS = 20
const FIRST_SERVER_PORT = 8000
/** As fast as samples can be taken, so that little else is in the figures. */
const FLAGS = ['--sample.interval=100ms', '--sample.cpu-budget=1', '--no-collector.buckets']
/** As the image and the systemd unit start it. */
const ENVIRONMENT = { NODE_OPTIONS: '--max-semi-space-size=4' }
/** Of the program, and of those who ask it. */
const OWN_PORTS = '10132,11000-19999'
/** The compiler needs many samples and much time to learn what is hot. */
const WARM_UPS = 8
const WARM_UP_MS = 30_000
const ROUNDS = 3
const SAMPLES_A_ROUND = 5
const SCRAPES = 30
const OPEN_MS = 300_000
const SCENE_MS = 600_000

async function measure(scene: Scene): Promise<Result> {
  const children = createChildren()
  const exporter = createExporterOperations()
  const startedMs = performance.now()
  try {
    enterFreshNetns(openLibc())
    writeFileSync('/proc/sys/net/core/somaxconn', '1048576')
    setRange(scene.made, OWN_PORTS)
    await openConnections(children, scene)
    setRange(scene.seen, '')
    const [first, last] = scene.seen
    const floor = openFloor(children, { first, last })
    const { pid } = await exporter.startExporter({ flags: FLAGS, environment: ENVIRONMENT })

    const readSamples = async () => {
      const { body } = await exporter.get({ path: '/api/v1/snapshot' })
      const { snapshot }: { snapshot: Snapshot } = JSON.parse(body)
      return snapshot.samples
    }
    /** Returns how many were taken in the end: at least so many more. */
    const waitFor = async (more: number, from: number): Promise<number> => {
      for (;;) {
        if (performance.now() - startedMs > SCENE_MS) throw new Error('It takes too long')
        await delay(200)
        const samples = await readSamples()
        if (samples >= from + more) return samples
      }
    }
    await delay(WARM_UP_MS)
    await waitFor(WARM_UPS, 0)
    const floorMs: number[] = []
    const sampleMs: number[] = []
    let rows = 0
    for (let round = 0; round < ROUNDS; round++) {
      process.kill(pid, 'SIGSTOP')
      const plain = await floor.sample()
      process.kill(pid, 'SIGCONT')
      rows = plain.rows
      floorMs.push(plain.cost.cpuMs)
      const from = await waitFor(1, await readSamples())
      const before = readCpuMs(pid)
      // Whoever asks costs something too.
      await delay(SAMPLES_A_ROUND * plain.cost.wallMs)
      const to = await waitFor(SAMPLES_A_ROUND, from)
      sampleMs.push((readCpuMs(pid) - before) / (to - from))
    }
    const [scrapes, empty]: [number[], number[]] = [[], []]
    const ask = async (path: string, times: number[]) => {
      const before = performance.now()
      const { status } = await exporter.get({ path })
      if (status !== 200) throw new Error(`Cannot get ${path}: status ${status}`)
      times.push(performance.now() - before)
    }
    for (let turn = 0; turn < SCRAPES; turn++) {
      await ask('/metrics', scrapes)
      await ask('/-/healthy', empty)
    }
    return {
      rows,
      sampleMs: takeMedian(sampleMs),
      floorMs: takeMedian(floorMs),
      residentMb: readResidentMb(pid),
      scrapeMs: takeMedian(scrapes),
      emptyMs: takeMedian(empty),
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

async function openConnections(children: Children, scene: Scene): Promise<void> {
  if (scene.connections === 0) return
  const { program, remove } = compile('connections.c')
  const { destinations, connections } = scene
  const args = [FIRST_SERVER_PORT, SERVERS, destinations, connections].map(String)
  const child = children.adopt(spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] }))
  try {
    const held = once(createInterface(child.stdout), 'line')
    const ended = once(child, 'exit').then(() => {
      throw new Error('Cannot open all connections')
    })
    ended.catch(() => undefined)
    await withDeadline(Promise.race([held, ended]), OPEN_MS, 'Opening connections')
  } finally {
    remove()
  }
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

/** Each scene has a process of its own: with it go its namespace and all that it has made. */
function measureApart(at: number): Result {
  const self = ['--import', 'tsx', fileURLToPath(import.meta.url), '--scene', String(at)]
  const { stdout, status } = spawnSync(process.execPath, self, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`Cannot measure ${scenes[at]?.name}`)
  return JSON.parse(stdout)
}

function renderReport(results: readonly Result[]): string {
  const [none] = results
  const rows = results.map((result, at) => [
    scenes[at]?.name ?? '',
    result.rows.toLocaleString('en'),
    `${result.floorMs.toFixed(0)} ms`,
    `${result.sampleMs.toFixed(0)} ms`,
    (result.sampleMs / result.floorMs).toFixed(2),
    `${result.residentMb.toFixed(0)} MB`,
    `${(result.residentMb - (none?.residentMb ?? 0)).toFixed(0)} MB`,
    `${result.scrapeMs.toFixed(1)} ms`,
    (result.scrapeMs / result.emptyMs).toFixed(1),
  ])
  const head = [
    '',
    'rows',
    'floor',
    'a sample',
    'x floor',
    'resident',
    'more',
    'a scrape',
    'x empty',
  ]
  return [
    '# Cost at scale\n',
    `Written by \`npm run bench:scale\` on Node ${process.version.slice(1)}, Linux ${release()}, ${cpus().length} CPUs.`,
    'The running program, with `--netns=self` and samples that follow one another; medians. A sample is the CPU time of the whole',
    'process from one to the next; a scrape, and the empty answer of `/-/healthy`, are asked for while samples are taken.\n',
    renderTable(head, rows),
  ].join('\n')
}

const { values } = parseArgs({
  options: { write: { type: 'string' }, scene: { type: 'string' } },
})
try {
  const refusal = whyNotExact()
  if (refusal !== undefined) throw new Error(refusal)
  const scene = values.scene === undefined ? undefined : scenes[Number(values.scene)]
  if (scene !== undefined) process.stdout.write(JSON.stringify(await measure(scene)))
  else {
    const results = scenes.map((_, at) => {
      const result = measureApart(at)
      process.stderr.write(`${scenes[at]?.name}: ${JSON.stringify(result)}\n`)
      return result
    })
    const report = renderReport(results)
    process.stdout.write(report)
    if (values.write !== undefined) writeFileSync(values.write, report)
  }
} catch (error) {
  process.stderr.write(
    `The benchmark could not be run: ${error instanceof Error ? error.message : error}\n`,
  )
  process.exitCode = 1
}
