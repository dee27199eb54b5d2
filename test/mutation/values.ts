// Changes values that StrykerJS never changes, one at a time, and runs the unit tests that import the changed file:
// npm run test:mutation:values -- [--seed=1] [--from=0] [--count=100] [--only=pattern of paths] [--list]

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { listValueMutants, shuffle, type ValueMutant } from './value-mutants.ts'
import type { ValueVerdict } from './value-runs.ts'

const HANGS_MS = 300_000
const FOLDERS = ['src/kernel', 'src/model']
const root = join(import.meta.dirname, '../..')
const { values: options } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    count: { type: 'string', default: '100' },
    only: { type: 'string', default: '' },
    list: { type: 'boolean', default: false },
  },
})

const from = Number(options.from)
const all = listValueMutants(root, FOLDERS)
const only = new RegExp(options.only)
const drawn = shuffle(all, Number(options.seed))
  .slice(from, from + Number(options.count))
  .filter(({ file }) => only.test(file))
  .sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.from - b.from))

let child: ChildProcess | undefined
const tally = new Map<string, { detected: number; all: number }>()
for (const mutant of drawn) {
  if (options.list) {
    console.log(nameOf(mutant))
    continue
  }
  const verdict = await judge(mutant)
  const counted = tally.get(mutant.kind) ?? { detected: 0, all: 0 }
  tally.set(mutant.kind, counted)
  counted.all++
  if (verdict !== 'survived') counted.detected++
  console.log(`${verdict.padEnd(8)} ${nameOf(mutant)}`)
}
child?.disconnect()
for (const [kind, one] of tally) console.log(`${kind}: ${scoreOf(one)}`)
const counts = [...tally.values()]
const sum = (pick: (one: { detected: number; all: number }) => number) =>
  counts.reduce((total, one) => total + pick(one), 0)
const total = { detected: sum(({ detected }) => detected), all: sum((one) => one.all) }
console.log(`all: ${scoreOf(total)}, drawn from ${all.length}`)

/** Has the tests run by a process that has them compiled, which is replaced when a mutant makes it run without end. */
async function judge(mutant: ValueMutant): Promise<ValueVerdict | 'hung'> {
  child ??= fork(join(import.meta.dirname, 'value-runs.ts'), {
    cwd: root,
    // A group of its own, since vitest has a process below it which would run on.
    detached: true,
    stdio: ['ignore', 2, 2, 'ipc'],
    env: { ...process.env, TEST_SEED: '20' },
  })
  const asked = child
  const hangs = setTimeout(() => asked.pid && process.kill(-asked.pid, 'SIGKILL'), HANGS_MS)
  const ended = new AbortController()
  const signal = ended.signal
  asked.send(mutant)
  const verdict = await Promise.race([
    once(asked, 'message', { signal }).then(([said]) => said as ValueVerdict),
    once(asked, 'exit', { signal }).then(([code]) => {
      if (code !== null) throw new Error('The process of the tests has ended')
      return 'hung' as const
    }),
  ])
  ended.abort()
  clearTimeout(hangs)
  if (verdict === 'hung') child = undefined
  return verdict
}

function nameOf({ kind, file, line, original, instead }: ValueMutant): string {
  const short = (text: string) => text.replace(/\s+/g, ' ').slice(0, 70)
  return `${kind.padEnd(10)} ${file}:${line} ${short(original)} -> ${short(instead)}`
}

function scoreOf({ detected, all }: { detected: number; all: number }): string {
  return `${detected} of ${all} detected (${((100 * detected) / Math.max(1, all)).toFixed(1)} %)`
}
