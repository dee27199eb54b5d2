// npm run soak -- [--minutes=10] [--seed=1] [--interval=250ms]: the built program beside namespaces that come and go, sockets
// that are opened and closed, and faults. At 250 ms three minutes have the samples of an hour, and memory is judged in runs of
// seven or more. Fails where a page says what is not true, where memory grows, or where a descriptor, a namespace or a tracing
// instance is left.

import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ENTRYPOINT } from '../../deploy/image/rootfs.ts'
import { INSTANCE_PREFIX } from '../../src/failures/instance.ts'
import { createRandom } from '../fuzz/mutate.ts'
import { openTracefs } from '../support/failures/tracefs-place.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { type NetnsCrowd, withNetnsCrowd } from '../support/netns/netns-crowd.ts'
import { findFreePort } from '../support/program/free-port.ts'
import { type FaultTools, faults } from './faults.ts'
import { judgeGrowth } from './growth.ts'
import { type SoakNode, withSoakNode } from './node.ts'
import { openStage, type Stage } from './stage.ts'
import { createSubject, type Subject } from './subject.ts'
import { checkExactly, createWatch } from './truth.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    interval: { type: 'string', default: '250ms' },
    verbose: { type: 'boolean', default: false },
  },
})
const preload = (name: string) =>
  `--require ${fileURLToPath(new URL(`../support/program/${name}.cjs`, import.meta.url))}`
const STAGES = 3
/** Those of the image; the other is not of Node 20. */
const HEAP_FLAGS = ENTRYPOINT.filter((argument) => argument.startsWith('--max'))
const MOST_MEMBERS = 60
const ACTIONS = 6
/** Restarts end with that part of the time, so that what is left shows one life's memory. */
const RESTARTS_UNTIL = 1 / 3
/** Connections of ours that are just ending may be among the descriptors. */
const SPARE_DESCRIPTORS = 4

const random = createRandom(Number(values.seed))
const startMs = performance.now()
const totalMs = Number(values.minutes) * 60_000
const isOver = (part = 1) => performance.now() - startMs > totalMs * part
const directory = mkdtempSync(join(tmpdir(), 'soak-'))
const killFile = join(directory, 'die')
const tracefs = openTracefs()
const port = await findFreePort()
const clockFile = join(directory, 'ahead')
writeFileSync(clockFile, '0')
const createOn = (node: SoakNode) =>
  createSubject({
    port,
    command: [...node.command, process.execPath, ...HEAP_FLAGS, 'dist/main.js'],
    flags: [
      '--collector.kubernetes',
      ...[`--sample.interval=${values.interval}`, '--sample.cpu-budget=1', '--collector.failures'],
      ...['--detail.min-utilization=0', '--top=1000', `--path.tracefs=${tracefs.place}`],
    ],
    env: {
      ...node.env,
      NODE_OPTIONS: `${preload('worker-killer')} ${preload('clock-stepper')}`,
      ...{ FILE_THAT_KILLS: killFile, KILLS: 'inside', CLOCK_IS_AHEAD: clockFile },
    },
  })
const problems: string[] = []
const counts = { rounds: 0, samples: 0, absent: 0, exact: 0, late: 0 }
const pids = new Set<number>()
const met = new Map<string, number>()
const memory: { readonly seconds: number; readonly residentMb: number }[] = []
let held: ReturnType<Subject['holds']> | undefined

async function soak(
  { subject, node }: Pick<FaultTools, 'subject' | 'node'>,
  stages: readonly Stage[],
  crowd: NetnsCrowd,
): Promise<void> {
  await subject.start()
  const watch = createWatch(stages)
  const scraper = watch.scrape(subject.read, () => isOver())
  let members = await crowd.create({ count: 10, sockets: 4 })
  while (!isOver()) {
    const newcomers = await crowd.create({ count: 1 + random.below(MOST_MEMBERS), sockets: 4 })
    const names = Object.keys(faults).filter(
      (name) => !isOver(RESTARTS_UNTIL) || !name.endsWith('started anew'),
    )
    const name = names[random.below(names.length)] ?? 'nothing'
    met.set(name, (met.get(name) ?? 0) + 1)
    const before = subject.pid()
    const fault = faults[name]?.({
      ...{ subject, random, port, killFile, clockFile, node, problems },
    })
    for (let left = ACTIONS; left > 0; left--) {
      for (const stage of stages) await watch.record(stage, () => stage.act(random))
    }
    await crowd.end(members)
    members = newcomers
    await fault
    pids.add(subject.pid())
    if (subject.pid() !== before) {
      memory.length = 0
      held = undefined
    }
    await lookCalmly(subject, stages, name)
    counts.rounds++
    if (values.verbose) console.error(counts.rounds, name, memory.at(-1))
  }
  await crowd.end(members)
  await scraper
  problems.push(...watch.problems)
  counts.samples = watch.counts.pages
  counts.absent = watch.counts.absent
}

/** Nothing comes or goes: what the page says must be exactly so, and nothing more be held than before. */
async function lookCalmly(
  subject: Subject,
  stages: readonly Stage[],
  fault: string,
): Promise<void> {
  for (const stage of stages) {
    const outcome = await checkExactly(stage, subject.read)
    if (typeof outcome === 'string') counts[outcome]++
    else problems.push(`after "${fault}": ${outcome.problem}`)
  }
  const now = subject.holds()
  held ??= now
  const { descriptors, namespaces } = now
  if (descriptors > held.descriptors + SPARE_DESCRIPTORS || namespaces > held.namespaces) {
    problems.push(`after "${fault}": holds ${JSON.stringify(now)}, first ${JSON.stringify(held)}`)
  }
  memory.push({
    seconds: (performance.now() - startMs) / 1000,
    residentMb: subject.residentMb(),
  })
}

async function withStages(count: number, use: (stages: readonly Stage[]) => Promise<void>) {
  const stages: Stage[] = []
  const add = (): Promise<void> =>
    stages.length === count
      ? use(stages)
      : withNetns(async (netns: Netns) => {
          const { ino } = statSync(`/proc/${netns.pid}/ns/net`)
          stages.push(await openStage(netns, `inode/${ino}`))
          await add()
        })
  await add()
}

function listInstancesLeft(): readonly string[] {
  return readdirSync(`${tracefs.place}/instances`).filter((name) =>
    [...pids].some((pid) => name.startsWith(`${INSTANCE_PREFIX}${pid}.`)),
  )
}

try {
  await withSoakNode(async (node) => {
    const subject = createOn(node)
    const tools = { subject, node }
    try {
      await withNetnsCrowd((crowd) => withStages(STAGES, (stages) => soak(tools, stages, crowd)))
      await subject.end('SIGTERM')
    } finally {
      await subject.end('SIGKILL')
    }
  })
  for (let left = 20; left > 0 && listInstancesLeft().length > 0; left--) await delay(100)
  problems.push(...listInstancesLeft().map((name) => `The tracing instance ${name} is left`))
} finally {
  rmSync(directory, { recursive: true })
  tracefs.close()
}
if (counts.exact === 0) problems.push('No page was held against a calm moment')
const growth = judgeGrowth(memory)
if (growth.verdict !== 'within noise') problems.push(`Growth of memory: ${growth.verdict}`)
console.log(`Node ${process.version}, seed ${values.seed}, ${values.minutes} minutes`)
console.log(JSON.stringify(counts))
for (const [name, times] of [...met].toSorted()) console.log(`${String(times).padStart(4)} ${name}`)
console.log(`memory of the last life: ${growth.text}`)
for (const problem of problems) console.log(`PROBLEM ${problem}`)
process.exitCode = problems.length > 0 ? 1 : 0
