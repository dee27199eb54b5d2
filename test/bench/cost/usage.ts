// CPU time of this process and of the processes it has waited for, by getrusage(2): Node tells its own only.

import { createRequire } from 'node:module'

export interface Cost {
  /** User and system time. */
  readonly cpuMs: number
  readonly wallMs: number
}

/** `self` with all its threads: compiler and garbage collector are part of the price. */
type Payer = 'self' | 'children'

export interface Meter {
  /** What `work` costs the payers; children must have been started, and have ended, during it. */
  measure<T>(
    payers: readonly Payer[],
    work: () => T | Promise<T>,
  ): Promise<{ readonly cost: Cost; readonly result: T }>
}

const RUSAGE: Readonly<Record<Payer, number>> = { self: 0, children: -1 }
/** struct rusage begins with user and system time, each a struct timeval of two 64-bit integers; 144 bytes in all. */
const RUSAGE_BYTES = 144

export function createMeter(): Meter {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
  const getrusage = koffi.load(null).func('int getrusage(int, void *)')
  const usage = new BigInt64Array(RUSAGE_BYTES / 8)

  function cpuMs(who: number): number {
    if (getrusage(who, usage) !== 0) throw new Error(`Cannot read CPU time: errno ${koffi.errno()}`)
    const [userSeconds = 0n, userMicros = 0n, systemSeconds = 0n, systemMicros = 0n] = usage
    return Number(userSeconds + systemSeconds) * 1000 + Number(userMicros + systemMicros) / 1000
  }

  return {
    async measure(payers, work) {
      const read = () => payers.reduce((sum, payer) => sum + cpuMs(RUSAGE[payer]), 0)
      const [cpuBefore, wallBefore] = [read(), performance.now()]
      const result = await work()
      const wallMs = performance.now() - wallBefore
      return { cost: { cpuMs: read() - cpuBefore, wallMs }, result }
    },
  }
}
