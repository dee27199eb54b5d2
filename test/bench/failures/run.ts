// npm run bench:failures: what recording failed allocations costs everybody else, connections made with and without the
// recorder in turn -> a Markdown table.
//
//   npx tsx test/bench/failures/run.ts [--write FILE] [rounds] [connections a run]
//
// Needs root, tracefs and a C compiler. Ends with 1 when a limit is missed.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createInstanceName, removeInstance } from '../../../src/failures/instance.ts'
import { openRecorder } from '../../../src/failures/recorder.ts'
import { openTracefs } from '../../support/failures/tracefs-place.ts'
import { checkLimits, type Pair, type Run, renderLimits, renderPairs } from './report.ts'

const RESULTS = fileURLToPath(new URL('RESULTS.md', import.meta.url))
const { values, positionals } = parseArgs({
  options: { write: { type: 'string', default: RESULTS } },
  allowPositionals: true,
})
/** A run takes half a second or so: what a process costs that has just begun does not show. */
const [rounds = 40, connections = 15_000] = positionals.map(Number)

function main(): number {
  const directory = mkdtempSync(join(tmpdir(), 'bench-'))
  const tracefs = openTracefs()
  try {
    const program = compile(directory)
    run(program) // the first one warms caches
    const pairs = Array.from({ length: rounds }, (_, round) =>
      runPair(program, tracefs.place, round),
    )
    const limits = checkLimits(pairs)
    const report = renderReport(pairs, renderLimits(limits))
    process.stdout.write(report)
    writeFileSync(values.write, report)
    return limits.every(({ met }) => met) ? 0 : 1
  } finally {
    tracefs.close()
    rmSync(directory, { recursive: true })
  }
}

/** Which of the two comes first alternates, so that a drift of the machine favours neither. */
function runPair(program: string, place: string, round: number): Pair {
  if (round % 2 === 0) {
    const without = run(program)
    return { without, with: recorded(place, () => run(program)) }
  }
  const withRecorder = recorded(place, () => run(program))
  return { without: run(program), with: withRecorder }
}

function recorded<T>(place: string, call: () => T): T {
  const name = createInstanceName(process.pid)
  const recorder = openRecorder({ places: [place], name })
  try {
    return call()
  } finally {
    recorder.close()
    removeInstance(recorder.instancePath)
  }
}

function compile(directory: string): string {
  const program = join(directory, 'connect')
  const source = join(import.meta.dirname, 'connect.c')
  const { status, stderr, error } = spawnSync('cc', ['-O2', '-Wall', '-o', program, source])
  if (status !== 0) throw new Error(`Cannot compile ${source}: ${error?.message ?? stderr}`)
  return program
}

function run(program: string): Run {
  const { status, stdout, stderr } = spawnSync(program, [`${connections}`], { encoding: 'utf8' })
  const [cpuNs, wallNs] = stdout.split(' ').map(Number)
  if (status !== 0 || cpuNs === undefined || wallNs === undefined) {
    throw new Error(`Cannot run ${program}: ${stderr}`)
  }
  return { cpuNs, wallNs }
}

function renderReport(pairs: readonly Pair[], limits: string): string {
  const load = loadavg()[0]?.toFixed(1)
  return [
    '# Cost of recording failed allocations\n',
    `Written by \`npm run bench:failures\` on Node ${process.version.slice(1)}, Linux ${release()}, ${cpus().length} CPUs, load average ${load} in the last minute.`,
    `One connect() and close() over loopback, on average over the ${connections.toLocaleString('en')} of a run; ${pairs.length} pairs of runs, one of each pair with the product’s own`,
    'recorder open, which of them first in turn.\n',
    '* CPU: the time of the client, which is what the kernel does for it. Judged.',
    '* wall: with the waiting for others on the machine. Told only.',
    '* without: the median of the runs without the recorder; spread: half of these lie within it.',
    '* added: the median of the differences of the pairs, and its error at 95 %.\n',
    renderPairs(pairs),
    limits,
  ].join('\n')
}

process.exitCode = main()
