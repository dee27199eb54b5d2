// npm run bench:nat: what listing and judging a NAT's conntrack entries costs, beside a C program that only receives the same
// entries and beside `conntrack -L`, in turn, in a namespace of its own -> a Markdown table.
//
//   npx tsx test/bench/nat/run.ts [--million] [--write FILE] [rounds]
//
// Needs root, gcc and conntrack. A million entries need nf_conntrack_max raised for the time. Ends with 1 when a limit is missed.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { openLibc } from '../../../src/kernel/libc.ts'
import { createNatStep, type NatModelState } from '../../../src/model/nat/step.ts'
import { createConntrackSource } from '../../../src/sources/conntrack.ts'
import { startNatMemory } from '../../../src/worker/nat-memory.ts'
import { openLibc as openTestLibc } from '../../support/kernel/libc.ts'
import { unshareNetns } from '../../support/netns/netns.ts'
import { type Cost, createMeter, type Meter } from '../cost/usage.ts'

const RESULTS = fileURLToPath(new URL('RESULTS.md', import.meta.url))
const SOURCE = fileURLToPath(new URL('conntrack.c', import.meta.url))
const LIMIT = '/proc/sys/net/netfilter/nf_conntrack_max'
/** Where the limit can be set: not in the namespaces of the settings. */
const home = openSync('/proc/self/ns/net', 'r')
const { values, positionals } = parseArgs({
  options: { million: { type: 'boolean' }, write: { type: 'string', default: RESULTS } },
  allowPositionals: true,
})
const [rounds = 9] = positionals.map(Number)
/** Until then the compiler has seen what is hot. */
const WARM_UPS = 8
const limits = { floor: 1.3, list: 0.5 }
/** The share of entries with source NAT: all of them on a router, some on a node with services. */
const SHARES = [100, 30]
const sizes = [10_000, 100_000, ...(values.million === true ? [1_000_000] : [])]

type Contender = 'floor' | 'ours' | 'list'
type Costs = Readonly<Record<Contender, readonly Cost[]>>

interface Setting {
  readonly entries: number
  readonly percent: number
  readonly costs: Costs
}

function run(file: string, words: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(file, words, {
    encoding: 'utf8',
    maxBuffer: 2 ** 20,
  })
  if (status !== 0) throw new Error(`${file} ${words.join(' ')}: ${error?.message ?? stderr}`)
  return stdout
}

function setLimit(entries: string): void {
  const here = `--net=/proc/${process.pid}/fd/${home}`
  run('nsenter', [here, 'sysctl', '-qw', `net.netfilter.nf_conntrack_max=${entries}`])
}

/** Measures itself, so that its start is not in the figure. */
function dumpOnce(program: string, entries: number): Cost {
  const [rows, cpuMicros = 0, wallMicros = 0] = run(program, ['dump']).split(' ').map(Number)
  if (rows !== entries) throw new Error(`The C program saw ${rows} entries of ${entries}`)
  return { cpuMs: cpuMicros / 1000, wallMs: wallMicros / 1000 }
}

function listOnce(meter: Meter): Promise<{ readonly cost: Cost }> {
  return meter.measure(['children'], () => {
    const { status } = spawnSync('conntrack', ['-L'], { stdio: 'ignore' })
    if (status !== 0) throw new Error(`conntrack -L ended with ${status}`)
  })
}

async function createOurs(meter: Meter) {
  const source = createConntrackSource(await openLibc())
  const step = createNatStep({
    top: 10,
    peakWindowSeconds: 120,
    forecastHorizonSeconds: 900,
    natRanges: [],
  })
  let seconds = 0
  let state: NatModelState | undefined
  const { source: memory } = startNatMemory()
  return async (entries: number, expectedPorts: number): Promise<Cost> => {
    seconds += 5
    const { cost, result } = await meter.measure(['self'], () =>
      source.read(memory, entries, (reading) =>
        step(state, reading, {
          atSeconds: seconds,
          unixSeconds: seconds,
          nameClient: () => undefined,
        }),
      ),
    )
    state = result?.state
    const ports = result?.nat.destinations.reduce((sum, row) => sum + row.usedPorts, 0)
    if (ports !== expectedPorts) throw new Error(`We saw ${ports} ports of ${expectedPorts}`)
    return cost
  }
}

/** Interleaved, every other round backwards, so that all see the same machine. */
async function race(program: string, entries: number, percent: number): Promise<Setting> {
  const meter = createMeter()
  const ours = await createOurs(meter)
  // Each block of a hundred has the same share.
  const translated = (entries * percent) / 100
  for (let turn = 0; turn < WARM_UPS; turn++) await ours(entries, translated)
  const costs: Record<Contender, Cost[]> = { floor: [], ours: [], list: [] }
  const turns: readonly (() => Promise<unknown>)[] = [
    async () => costs.floor.push(dumpOnce(program, entries)),
    async () => costs.ours.push(await ours(entries, translated)),
    async () => costs.list.push((await listOnce(meter)).cost),
  ]
  for (let round = 0; round < rounds; round++) {
    for (const turn of round % 2 === 0 ? turns : turns.toReversed()) await turn()
  }
  return { entries, percent, costs }
}

function median(costs: readonly Cost[], of: keyof Cost): number {
  const sorted = costs.map((cost) => cost[of]).toSorted((left, right) => left - right)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

function renderSetting({ entries, percent, costs }: Setting): string {
  const [floor, ours, list] = (['floor', 'ours', 'list'] as const).map((one) =>
    median(costs[one], 'cpuMs'),
  ) as [number, number, number]
  const cells = [
    entries.toLocaleString('en'),
    `${percent} %`,
    ...[floor, ours, list].map((ms) => `${ms.toFixed(ms < 100 ? 1 : 0)} ms`),
    `**${(ours / floor).toFixed(2)}**`,
    `**${(ours / list).toFixed(2)}**`,
    (floor / list).toFixed(2),
  ]
  return `| ${cells.join(' | ')} |`
}

function judge({ entries, percent, costs }: Setting): readonly { met: boolean; text: string }[] {
  const of = (one: Contender) => median(costs[one], 'cpuMs')
  const what = `${entries.toLocaleString('en')} entries, ${percent} % translated`
  return [
    { ratio: of('ours') / of('floor'), limit: limits.floor, rival: 'the C program' },
    { ratio: of('ours') / of('list'), limit: limits.list, rival: '`conntrack -L`' },
  ].map(({ ratio, limit, rival }) => ({
    met: ratio <= limit,
    text: `${what}: at most ${limit} x ${rival} (${ratio.toFixed(2)})`,
  }))
}

function render(settings: readonly Setting[]): { readonly report: string; readonly met: boolean } {
  const checks = settings.flatMap(judge)
  const report = `# Cost of listing conntrack

Written by \`npm run bench:nat\` on Node ${process.version.slice(1)}, Linux ${release()}, ${cpus().length} CPUs, load average ${loadavg()[0]?.toFixed(1)} in the last
minute. Medians of the CPU time of ${rounds} interleaved runs. The entries are TCP connections of one NAT address to
destinations that have up to 60,000 each, and some of them are not translated.

* C: \`conntrack.c\`, which asks for all entries, counts them and decodes nothing.
* ours: listing, decoding and model, with the filters in the kernel that the product uses.
* list: \`conntrack -L\`, which writes to /dev/null.

| entries | translated | C | ours | list | ours / C | ours / list | C / list |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
${settings.map(renderSetting).join('\n')}

${checks.map(({ met, text }) => `* ${met ? 'met' : 'MISSED'}: ${text}`).join('\n')}
`
  return { report, met: checks.every(({ met }) => met) }
}

async function main(): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-nat-'))
  const limitBefore = readFileSync(LIMIT, 'utf8')
  try {
    const program = join(directory, 'conntrack')
    run('gcc', ['-O2', '-Wall', '-o', program, SOURCE])
    if (values.million === true) setLimit('1200000')
    const settings: Setting[] = []
    for (const entries of sizes) {
      for (const percent of SHARES) {
        unshareNetns(openTestLibc())
        run(program, ['fill', '0', String(entries), String(percent)])
        settings.push(await race(program, entries, percent))
        process.stderr.write(`${renderSetting(settings.at(-1) as Setting)}\n`)
      }
    }
    const { report, met } = render(settings)
    process.stdout.write(report)
    writeFileSync(values.write, report)
    return met ? 0 : 1
  } finally {
    if (values.million === true) setLimit(limitBefore.trim())
    rmSync(directory, { recursive: true })
  }
}

process.exitCode = await main()
