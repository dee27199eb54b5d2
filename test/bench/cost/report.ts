// Runs -> medians, ratios, limits -> one Markdown report, which the console and a file show alike.

import type { Run } from './contenders.ts'
import type { Memory } from './program.ts'
import type { Cost } from './usage.ts'

export interface Race {
  /** TCP sockets in the range. */
  readonly sockets: number
  /** Run i of each belongs to round i; who takes long has fewer rounds. */
  readonly rivals: readonly { readonly name: string; readonly runs: readonly Run[] }[]
}

export interface Check {
  readonly claim: string
  readonly seen: string
  readonly met: boolean
}

export const FLOOR = 'floor: a C reader of plain dumps'
/** Not the yardstick, which is to stay the same. */
export const SAME = 'a C reader that asks for idle sockets once'
export const SAMPLE = 'a sample: read and model'
export const WALK = 'a walk over bind buckets'
export const SS = '`ss -Htan`'
export const PROC_NET = 'reading /proc/net/tcp and tcp6'
export const NETWORK_CONNECTIONS = 'systeminformation.networkConnections()'

const CPU_LIMIT = 1.15
const NETWORK_CONNECTIONS_LIMIT = 1 / 20
const MEMORY_LIMIT_MB = 95
/** The limit was set for this one; others are shown. */
const MEMORY_LIMIT_NODE = 20

export function renderRace(race: Race): string {
  const floor = runsOf(race, FLOOR)
  const rows = race.rivals.map(({ name, runs }) => [
    name,
    String(runs.length),
    runs.at(-1)?.rows?.toLocaleString('en') ?? '',
    renderMs(takeMedian(runs.map(({ cost }) => cost.cpuMs))),
    takeRatio(runs, floor, 'cpuMs').toFixed(2),
    renderMs(takeMedian(runs.map(({ cost }) => cost.wallMs))),
    takeRatio(runs, floor, 'wallMs').toFixed(2),
  ])
  return [
    `## ${race.sockets.toLocaleString('en')} TCP sockets in the range\n`,
    renderTable(['', 'rounds', 'rows', 'CPU', 'x floor', 'wall', 'x floor'], rows),
  ].join('\n')
}

export function renderMemory(memory: Memory): string {
  const { residentMb, peakMb, samples, sockets } = memory
  return [
    '## Memory of the running program\n',
    `${sockets.toLocaleString('en')} sockets in the range, after ${samples} samples: resident ${residentMb.toFixed(1)} MB, at its peak ${peakMb.toFixed(1)} MB.\n`,
  ].join('\n')
}

/** CPU time of a sample in terms of the floor. */
export function takeCpuRatio(race: Race): number {
  return takeRatio(runsOf(race, SAMPLE), runsOf(race, FLOOR), 'cpuMs')
}

export function checkRace(race: Race): readonly Check[] {
  const sample = runsOf(race, SAMPLE)
  const toFloor = takeCpuRatio(race)
  const toSs = takeRatio(sample, runsOf(race, SS), 'cpuMs')
  const toSlowest = takeRatio(sample, runsOf(race, NETWORK_CONNECTIONS), 'wallMs')
  const crowd = `with ${race.sockets.toLocaleString('en')} sockets`
  return [
    {
      claim: `${crowd} a sample costs at most ${CPU_LIMIT} x the CPU time of the floor`,
      seen: `${toFloor.toFixed(2)} x`,
      met: toFloor <= CPU_LIMIT,
    },
    {
      claim: `${crowd} a sample costs less CPU time than ${SS}`,
      seen: `${toSs.toFixed(2)} x`,
      met: toSs < 1,
    },
    {
      claim: `${crowd} a sample takes at most a twentieth of the wall time of ${NETWORK_CONNECTIONS}`,
      seen: `1/${(1 / toSlowest).toFixed(0)}`,
      met: toSlowest <= NETWORK_CONNECTIONS_LIMIT,
    },
  ]
}

/** After a while of sampling and scraping as by default; the peak is told beside it, for the collector's timing moves it. */
export function checkMemory({ residentMb }: Memory, nodeVersion: string): readonly Check[] {
  if (Number.parseInt(nodeVersion.slice(1), 10) !== MEMORY_LIMIT_NODE) return []
  return [
    {
      claim: `the program stays under ${MEMORY_LIMIT_MB} MB resident on Node ${MEMORY_LIMIT_NODE}`,
      seen: `${residentMb.toFixed(1)} MB`,
      met: residentMb < MEMORY_LIMIT_MB,
    },
  ]
}

export function renderChecks(checks: readonly Check[]): string {
  const rows = checks.map(
    ({ claim, seen, met }) => `* ${met ? 'met' : '**MISSED**'}: ${claim} (${seen})`,
  )
  return ['## Limits\n', ...rows, ''].join('\n')
}

function runsOf({ rivals }: Race, name: string): readonly Run[] {
  return rivals.find((rival) => rival.name === name)?.runs ?? []
}

/**
 * How much dearer one is than the other. Rounds are compared one by one, since what slows the machine down for a while slows
 * both down, and the median of that is taken; where one has fewer rounds, the medians are compared.
 */
function takeRatio(runs: readonly Run[], others: readonly Run[], of: keyof Cost): number {
  const [costs, otherCosts] = [runs, others].map((some) => some.map(({ cost }) => cost[of]))
  if (costs === undefined || otherCosts === undefined) return NaN
  if (costs.length !== otherCosts.length) return takeMedian(costs) / takeMedian(otherCosts)
  return takeMedian(costs.map((cost, round) => cost / (otherCosts[round] ?? NaN)))
}

/** NaN, which meets no limit, when there is nothing. */
export function takeMedian(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right)
  const middle = (sorted.length - 1) / 2
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle)] ?? NaN)) / 2
}

function renderMs(ms: number): string {
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`
}

export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [
    line(head),
    line(head.map((_, i) => (i === 0 ? '---' : '---:'))),
    ...rows.map(line),
    '',
  ].join('\n')
}
