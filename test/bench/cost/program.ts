// The running program: `node dist/main.js` in the benchmark's namespace, sampled and scraped for a while -> its resident memory.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Snapshot } from '../../../src/snapshot.ts'
import { createExporterOperations } from '../../support/netns/actor-exporter.ts'
import { ROOT } from './children.ts'
import { countSockets } from './contenders.ts'

export interface Memory {
  /** Megabytes of 1,000,000 bytes: VmRSS and VmHWM of /proc/<pid>/status. */
  readonly residentMb: number
  readonly peakMb: number
  readonly samples: number
  readonly sockets: number
}

const SAMPLES = 10
const SCRAPES = 40
/** After the last change on the host: two samples. */
const CALM_SCRAPES = 10
const RUN_MS = 120_000

/** `churn` is what happens on the host meanwhile. */
export async function measureMemory(churn: () => Promise<void>): Promise<Memory> {
  if (!existsSync(join(ROOT, 'dist/main.js'))) {
    throw new Error('Cannot measure the program: there is no dist/main.js; npm run build makes it')
  }
  const exporter = createExporterOperations()
  try {
    const { pid } = await exporter.startExporter({ flags: [] })
    const deadline = performance.now() + RUN_MS
    for (let scrapes = 0; ; scrapes++) {
      if (scrapes < SCRAPES) await churn()
      const page = await exporter.get({ path: scrapes < SCRAPES ? '/metrics' : '/api/v1/snapshot' })
      if (page.status !== 200) throw new Error(`Cannot scrape the program: status ${page.status}`)
      if (scrapes >= SCRAPES + CALM_SCRAPES) {
        const { snapshot }: { snapshot: Snapshot } = JSON.parse(page.body)
        if (snapshot.samples >= SAMPLES) {
          const sockets = countSockets(snapshot.namespaces[0])
          return { ...readMemory(pid), samples: snapshot.samples, sockets }
        }
      }
      if (performance.now() > deadline) {
        throw new Error(`Cannot measure the program: not ${SAMPLES} samples in ${RUN_MS / 1000} s`)
      }
      await delay(1000)
    }
  } finally {
    await exporter.killExporters()
  }
}

function readMemory(pid: number): Pick<Memory, 'residentMb' | 'peakMb'> {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const read = (name: string) => {
    const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]
    if (kib === undefined) throw new Error(`Cannot read memory: no ${name} in /proc/${pid}/status`)
    return (Number(kib) * 1024) / 1e6
  }
  return { residentMb: read('VmRSS'), peakMb: read('VmHWM') }
}
