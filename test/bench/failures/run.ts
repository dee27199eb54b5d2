// What recording failed allocations costs everybody else: connections made with and without the recorder, in turn.
//
//   npx tsx test/bench/failures/run.ts [rounds] [connections a run]
//
// Needs root, tracefs and a C compiler. Ends with 1 when the difference is beyond noise, or the noise beyond measure.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInstanceName, removeInstance } from '../../../src/failures/instance.ts'
import { openRecorder } from '../../../src/failures/recorder.ts'
import { openTracefs } from '../../failures/tracefs-place.ts'

interface Run {
  readonly cpuNs: number
  readonly wallNs: number
}

const [rounds = 100, connections = 1500] = process.argv.slice(2).map(Number)
/** 95 % of a median lie within that many quartile distances over the root of n (McGill, Tukey and Larsen 1978). */
const NOTCH = 1.57
/** A measurement that is off by more says nothing. */
const TOLERABLE_RATIO = 0.05

function main(): number {
  const directory = mkdtempSync(join(tmpdir(), 'bench-'))
  const tracefs = openTracefs()
  try {
    const program = compile(directory)
    run(program) // the first one warms caches
    const pairs = Array.from({ length: rounds }, (_, round) =>
      runPair(program, tracefs.place, round),
    )
    return report(pairs)
  } finally {
    tracefs.close()
    rmSync(directory, { recursive: true })
  }
}

/** Which of the two comes first alternates, so that a drift of the machine favours neither. */
function runPair(program: string, place: string, round: number): { without: Run; with: Run } {
  if (round % 2 === 0) {
    const without = run(program)
    return { without, with: recorded(place, () => run(program)) }
  }
  const withRecorder = recorded(place, () => run(program))
  return { without: run(program), with: withRecorder }
}

function recorded<T>(place: string, call: () => T): T {
  const name = createInstanceName(process.pid)
  const recorder = openRecorder({ places: [place], name, procfs: '/proc' })
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

/**
 * The difference is measured as finely as the pairs allow, and judged by what a run without the recorder differs from the next
 * such run. CPU time is judged; wall time depends on who else runs, and is told only.
 */
function report(pairs: readonly { without: Run; with: Run }[]): number {
  const verdicts = (['cpuNs', 'wallNs'] as const).map((column) => {
    const without = pairs.map((pair) => pair.without[column])
    const differences = pairs.map((pair) => pair.with[column] - pair.without[column])
    const difference = median(differences)
    const error = (NOTCH * spread(differences)) / Math.sqrt(differences.length)
    const noise = spread(without)
    const tooNoisy = error > TOLERABLE_RATIO * median(without)
    const verdict = tooNoisy
      ? 'too noisy to tell'
      : Math.abs(difference) > noise
        ? 'beyond noise'
        : 'within noise'
    const name = column === 'cpuNs' ? 'CPU ' : 'wall'
    process.stdout.write(
      `${name} ns a connection: ${median(without).toFixed(0)} without the recorder, half of the runs within ` +
        `${noise.toFixed(0)}; with it ${difference.toFixed(0)} +- ${error.toFixed(0)} more: ${verdict}\n`,
    )
    return verdict
  })
  process.stdout.write(
    `Medians of ${pairs.length} pairs of ${connections} connections, error at 95 %\n`,
  )
  return verdicts[0] === 'within noise' ? 0 : 1
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}

/** The distance between the quartiles. */
function spread(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN
  return at(0.75) - at(0.25)
}

process.exitCode = main()
