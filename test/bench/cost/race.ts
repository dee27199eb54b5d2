// A race of contenders over the same sockets: interleaved runs -> what each cost.

import type { Run } from './contenders.ts'
import type { Race } from './report.ts'

export const ROUNDS = 25
/** A run that takes longer says nothing: the machine has other things to do. */
const BENCH_SECONDS = 540

export interface Rival {
  readonly name: string
  readonly run: () => Promise<Run>
  readonly rounds: number
}

export interface Stage {
  /** In the range; both are checked against every dump. */
  readonly tcpSockets: number
  readonly udpSockets: number
  readonly warmUps: number
  /** What happens on the host between two samples. */
  readonly churn: () => Promise<void>
  readonly rivals: readonly Rival[]
}

/** Interleaved: every round has one run of each, so that all see the same machine; every other round backwards. */
export async function race(stage: Stage): Promise<Race> {
  const { tcpSockets, udpSockets, warmUps, churn, rivals } = stage
  const [floor, sample] = rivals
  for (let i = 0; i < warmUps; i++) {
    checkTime()
    await churn()
    await sample?.run()
  }
  const entries = rivals.map((rival) => ({ ...rival, runs: [] as Run[] }))
  for (let round = 0; round < ROUNDS; round++) {
    checkTime()
    await churn()
    for (const { run, rounds, runs } of round % 2 === 0 ? entries : entries.toReversed()) {
      const isDue = round % Math.floor(ROUNDS / rounds) === 0
      if (isDue && runs.length < rounds) runs.push(await run())
    }
    for (const { name, runs } of entries) {
      const rows = runs[round]?.rows
      if (name !== floor?.name && name !== sample?.name) continue
      if (rows !== tcpSockets + udpSockets) {
        throw new Error(`${name}: ${rows} sockets instead of ${tcpSockets + udpSockets}`)
      }
    }
  }
  return { sockets: tcpSockets, rivals: entries }
}

export function tell(what: string): void {
  process.stderr.write(`${what}: done after ${process.uptime().toFixed(0)} s\n`)
}

/** Everything that is waited for in between has a time-out of its own. */
function checkTime(): void {
  if (process.uptime() > BENCH_SECONDS) throw new Error(`It takes more than ${BENCH_SECONDS} s`)
}
