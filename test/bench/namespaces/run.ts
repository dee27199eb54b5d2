// npm run bench:namespaces: what a sample of the whole node costs, by the number of namespaces, on an idle machine and beside
// a namespace that holds very many sockets -> a Markdown table. Ends with 1 when its limit is missed or nothing could be
// measured. Needs Linux, root and unshare: it runs in PID, mount and network namespaces of its own, so that it sees exactly
// what it made, and so that nothing is left of it.

import { spawnSync } from 'node:child_process'
import { statSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { openLibc } from '../../support/kernel/libc.ts'
import { whyNotExact } from '../../support/netns/live.ts'
import { furnishNetns } from '../../support/netns/netns.ts'
import { createChildren, ROOT } from '../cost/children.ts'
import { type Node, openNode } from './node.ts'
import {
  OTHER_PROCESSES,
  openCrowdedNamespace,
  type Population,
  withPopulation,
} from './population.ts'
import { checkLimits, type Row, renderLimits, renderRows, takeMean } from './report.ts'

const COUNTS = [1, 10, 100, 250]
const SOCKETS = [0, 200]
const CROWD_SOCKETS = 100_000
const ROUNDS = 30
const BENCH_SECONDS = 1800
const RESULTS = fileURLToPath(new URL('RESULTS.md', import.meta.url))

interface Plan {
  readonly namespaces: number
  readonly socketsEach: number
  readonly crowdSockets: number | undefined
}

/** Interleaved, every other round backwards, so that both see the same machine. */
async function measure(node: Node, plan: Plan): Promise<Row> {
  await node.settle()
  const all: Awaited<ReturnType<Node['sampleAll']>>[] = []
  const self: number[] = []
  const sampleSelf = async () => self.push((await node.sampleSelf()).cpuMs)
  for (let round = 0; round < ROUNDS; round++) {
    if (process.uptime() > BENCH_SECONDS) throw new Error(`It takes more than ${BENCH_SECONDS} s`)
    if (round % 2 === 0) await sampleSelf()
    all.push(await node.sampleAll())
    if (round % 2 === 1) await sampleSelf()
  }
  const expected = 1 + plan.namespaces + (plan.crowdSockets === undefined ? 0 : 1)
  const wrong = all.find(({ namespaces, unreadable }) => namespaces !== expected || unreadable > 0)
  if (wrong !== undefined) {
    throw new Error(
      `${wrong.namespaces} namespaces instead of ${expected}, ${wrong.unreadable} of them unreadable`,
    )
  }
  const mean = (of: keyof (typeof all)[number]) => takeMean(all.map((sample) => sample[of]))
  const row = {
    ...plan,
    selfMs: takeMean(self),
    allMs: mean('cpuMs'),
    turnMs: mean('turnMs'),
    findingMs: mean('findingMs'),
    crowdedMs: mean('crowdedMs'),
    intervalSeconds: mean('intervalSeconds'),
  }
  process.stderr.write(renderRows([row]).split('\n').slice(2).join('\n'))
  return row
}

async function measureCounts(
  node: Node,
  population: Population,
  crowdSockets: number | undefined,
): Promise<Row[]> {
  const rows: Row[] = []
  for (const socketsEach of SOCKETS) {
    for (const namespaces of COUNTS) {
      await population.grow(namespaces, socketsEach)
      rows.push(await measure(node, { namespaces, socketsEach, crowdSockets }))
    }
    await population.clear()
  }
  return rows
}

async function bench(): Promise<{ readonly report: string; readonly met: boolean }> {
  furnishNetns(openLibc())
  const children = createChildren()
  try {
    return await withPopulation(async (population) => {
      let crowdedInode: number | undefined
      const node = await openNode(() => crowdedInode)
      const idle = await measureCounts(node, population, undefined)
      const crowd = await openCrowdedNamespace(children, CROWD_SOCKETS)
      crowdedInode = statSync(`/proc/${crowd.pid}/ns/net`).ino
      const crowded = await measureCounts(node, population, crowd.sockets)
      const limits = checkLimits(crowded, Math.max(...COUNTS))
      return {
        report: renderReport([...idle, ...crowded], renderLimits(limits)),
        met: limits.every(({ met }) => met),
      }
    })
  } finally {
    await children.end()
  }
}

function renderReport(rows: readonly Row[], limits: string): string {
  return [
    '# Cost of many namespaces\n',
    `Written by \`npm run bench:namespaces\` on Node ${process.version.slice(1)}, Linux ${release()}, ${cpus().length} CPUs.`,
    `CPU time of all threads a sample, as means of ${ROUNDS} samples of each kind, interleaved, in PID, mount and network namespaces`,
    `of their own. Each namespace has a process and a file in /run/netns; ${OTHER_PROCESSES} more processes run on the host.`,
    'Read and model by the product’s own code with its default options, paced by its own CPU budget: the cost of the last samples',
    'decides the interval, and that what may be spent on reading quiet namespaces in turn.\n',
    '* host alone: a sample with `--netns=self`, the host’s own dump.',
    '* all: a sample with `--netns=all`, without what listing the crowded namespace cost, which is read at every sample and stands',
    '  in a column of its own. A dump walks what the whole machine holds, so the crowd makes the other two columns dearer too.',
    '* added: all less host alone, which is finding and in turn: what the namespaces cost.',
    '* finding: the part of it that looks for namespaces, reads the bound of each (sockstat) and the range of some.',
    '* in turn: the part of it that lists quiet namespaces, one every few samples where that is dear.\n',
    renderRows(rows),
    limits,
  ].join('\n')
}

/** Becomes PID 1 of a PID namespace, whose end ends everything in it. */
function runApart(args: readonly string[]): number {
  const apart = ['--pid', '--fork', '--kill-child', '--mount-proc', '--net']
  const self = [process.execPath, '--import', 'tsx', fileURLToPath(import.meta.url), ...args]
  const { status, error } = spawnSync('unshare', [...apart, ...self], {
    cwd: ROOT,
    stdio: 'inherit',
  })
  if (error !== undefined) throw new Error(`Cannot run unshare: ${error.message}`)
  return status ?? 1
}

const { values } = parseArgs({ options: { write: { type: 'string', default: RESULTS } } })
const refusal = whyNotExact()
try {
  if (refusal !== undefined) throw new Error(refusal)
  if (process.pid === 1) {
    const { report, met } = await bench()
    process.stdout.write(report)
    writeFileSync(values.write, report)
    // The other processes of the PID namespace end with this one.
    process.exit(met ? 0 : 1)
  } else {
    process.exitCode = runApart(process.argv.slice(2))
  }
} catch (error) {
  process.stderr.write(
    `The benchmark could not be run: ${error instanceof Error ? error.message : error}\n`,
  )
  process.exitCode = 1
}
