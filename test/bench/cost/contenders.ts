// The contenders: each one way to learn which sockets there are, run once in the main thread's network namespace -> what it cost
// and how many rows it gave.

import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readSync } from 'node:fs'
import { openBucketReader } from '../../../src/kernel/bpf/buckets.ts'
import { openLibc } from '../../../src/kernel/libc.ts'
import { createStep } from '../../../src/model/step.ts'
import type { Namespace } from '../../../src/snapshot.ts'
import { openNetlinkSource } from '../../../src/sources/netlink.ts'
import { createSampling } from '../../support/kernel/sampling.ts'
import { withDeadline } from './children.ts'
import { type Cost, createMeter } from './usage.ts'

export interface Run {
  readonly cost: Cost
  /** Sockets or lines it gave; undefined where counting them would be part of the cost. */
  readonly rows: number | undefined
}

export interface Contenders {
  /** Read and model by the product's own code, as the sampling worker does it. */
  sample(): Promise<Run & { readonly rows: number }>
  /** What the collector buckets adds to a sample in which ports are in doubt. */
  walk(): Promise<Run>
  /** Writing to /dev/null: nobody has to read it. */
  ss(): Promise<Run>
  procNet(): Promise<Run>
  /** NB: one that is too late goes on until it writes to the pipe that we leave. */
  networkConnections(): Promise<Run>
}

/** The forecast is to think that its samples are as far apart as they usually are. */
const INTERVAL_SECONDS = 5
const SS_MS = 60_000
const NETWORK_CONNECTIONS_MS = 180_000
const PROC_TABLES = ['/proc/thread-self/net/tcp', '/proc/thread-self/net/tcp6']

export async function openContenders(): Promise<Contenders> {
  const meter = createMeter()
  const options = { procfs: '/proc', platform: 'linux', everyNamespace: false, ownPort: undefined }
  const source = await openNetlinkSource(options)
  const step = createStep({
    top: 10,
    peakWindowSeconds: 120,
    forecastHorizonSeconds: 900,
    destinations: true,
    owners: true,
    listeners: true,
  })
  let skippedSeconds = 0
  const takeSample = createSampling(source, step, {
    unixSeconds: () => Date.now() / 1000,
    monotonicSeconds: () => skippedSeconds + performance.now() / 1000,
    cpuSeconds: () => 0,
  })
  const buckets = openBucketReader(await openLibc())
  const { networkConnections } = await import('systeminformation')
  const buffer = new Uint8Array(64 * 1024)

  return {
    async sample() {
      skippedSeconds += INTERVAL_SECONDS
      const { cost, result } = await meter.measure(['self'], takeSample)
      return { cost, rows: countSockets(result.namespaces[0]) }
    },
    async walk() {
      const { cost, result } = await meter.measure(['self'], () => buckets.readClosedPorts())
      if (!result.includes(1)) throw new Error('Cannot read bind buckets: no port is closed')
      return { cost, rows: undefined }
    },
    async ss() {
      const { cost, result } = await meter.measure(['children'], () =>
        spawnSync('ss', ['-Htan'], { stdio: ['ignore', 'ignore', 'inherit'], timeout: SS_MS }),
      )
      if (result.status !== 0) throw new Error(`Cannot run ss: ${result.error ?? result.status}`)
      return { cost, rows: undefined }
    },
    async procNet() {
      const { cost, result } = await meter.measure(['self'], () => readTables(buffer))
      if (result === 0) throw new Error('Cannot read /proc/net: the tables are empty')
      return { cost, rows: undefined }
    },
    async networkConnections() {
      const { cost, result } = await meter.measure(['self', 'children'], () =>
        withDeadline(networkConnections(), NETWORK_CONNECTIONS_MS, 'networkConnections()'),
      )
      return { cost, rows: result.length }
    },
  }
}

/** TCP and UDP sockets that the sample found in the range. */
export function countSockets(namespace: Namespace | undefined): number {
  if (namespace?.state === undefined) {
    throw new Error(`Cannot take a sample: ${namespace?.failure?.message ?? 'no namespace'}`)
  }
  return namespace.state.protocols
    .flatMap(({ sockets }) => Object.values(sockets))
    .reduce((sum, count) => sum + count, 0)
}

function readTables(buffer: Uint8Array): number {
  let bytes = 0
  for (const path of PROC_TABLES) {
    const fd = openSync(path, 'r')
    try {
      for (let length = -1; length !== 0; bytes += length) length = readSync(fd, buffer)
    } finally {
      closeSync(fd)
    }
  }
  return bytes
}
