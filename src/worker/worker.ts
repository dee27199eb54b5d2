// The worker thread: blocking system calls live here. Opens the source once, then takes a sample whenever it is asked.

import { parentPort, workerData } from 'node:worker_threads'
import { noteDescriptors } from '../kernel/descriptors.ts'
import { readInterfaceAddresses } from '../kernel/interface-addresses.ts'
import { type Libc, openLibc } from '../kernel/libc.ts'
import { renderIpv4 } from '../model/addresses.ts'
import { createNatStep } from '../model/nat/step.ts'
import { createStep } from '../model/step.ts'
import { readOwnPid } from '../namespaces/discovery.ts'
import { openNamespaces } from '../namespaces/open-namespaces.ts'
import { DecodeError, SourceError } from '../observation.ts'
import type { FromWorker, ToWorker, WorkerData } from '../sample.ts'
import { createConntrackSource } from '../sources/conntrack.ts'
import { type OpenedSource, openSource } from '../sources/sources.ts'
import { createBucketWatch } from './bucket-watch.ts'
import { createClientNames } from './client-names.ts'
import { createFailureWatch } from './failure-watch.ts'
import { createNatWatch } from './nat-watch.ts'
import { createNodeNames } from './node-names.ts'
import { createPeers } from './peers.ts'
import { createProber } from './prober.ts'
import { createTakeSample } from './take-sample.ts'
import { createThreadCpuClock } from './thread-cpu.ts'

if (parentPort === null) throw new Error('Cannot run outside a worker thread')
const port = parentPort
const { options, descriptors, given, opens, counted }: WorkerData = workerData
const answer = (message: FromWorker) => port.postMessage(message)
const monotonicSeconds = () => performance.now() / 1000
/** Bounds the addresses of a namespace. A user who gives it more does not get all of them named. */
const MOST_ADDRESSES = 64
let libc: Libc | undefined

const opened = await open()
if (opened !== undefined) {
  const { source, refusals } = opened
  const { entersNamespaces } = source
  const names = createNodeNames({ ...options, monotonicSeconds })
  const buckets =
    options.buckets === false
      ? undefined
      : createBucketWatch({
          ...options,
          libc: entersNamespaces ? libc : undefined,
          asked: options.buckets === true,
          monotonicSeconds,
        })
  const namespaces = openNamespaces(source, { ...options, monotonicSeconds, libc })
  const clocks = {
    unixSeconds: () => Date.now() / 1000,
    monotonicSeconds,
    cpuSeconds: createThreadCpuClock(),
  }
  const takeSample = createTakeSample({
    ...options,
    namespaces,
    step: createStep(options),
    names,
    failureWatch:
      options.failures === undefined
        ? undefined
        : createFailureWatch({
            ...options,
            name: options.failures,
            asked: options.failuresAsked,
            monotonicSeconds,
            nameProcess: names.nameProcess,
          }),
    clocks,
    prober:
      options.probe && libc !== undefined
        ? createProber({ ...options, libc, monotonicSeconds, random: Math.random })
        : undefined,
    buckets,
    natWatch: options.nat
      ? createNatWatch({
          namespaces,
          source: libc && createConntrackSource(libc),
          step: createNatStep(options),
          natRanges: options.natRanges,
          clientNames: createClientNames({
            read: (namespace) => namespaces.inside(namespace, () => listAddresses(libc)),
            namePod: names.namePodAt,
            monotonicSeconds,
          }),
          clocks,
        })
      : undefined,
    peers: entersNamespaces && libc !== undefined ? createPeers(libc, monotonicSeconds) : undefined,
    ownPid: options.serving ? findLeadingPid(options.procfs) : undefined,
    given,
    counts: { opens: new Map(opens), counted: new Map(counted) },
  })
  port.on('message', async (request: ToWorker) => {
    if (request.type === 'pods') names.setPods(request.pods, request.answered)
    else answer({ type: 'sampled', sample: await takeSample(request.budgetSeconds) })
  })
  answer({
    type: 'opened',
    reader: source.reader,
    traits: source.traits,
    refusals,
  })
}

/** Without netlink nothing is listed that could be named. */
function listAddresses(libc: Libc | undefined): readonly string[] {
  return libc === undefined ? [] : readInterfaceAddresses(libc, MOST_ADDRESSES).map(renderIpv4)
}

/** Undefined where this is PID 1: that is a container's, and on the node another process has the number. */
function findLeadingPid(procfs: string): number | undefined {
  const pid = readOwnPid(procfs)
  return pid === 1 ? undefined : pid
}

async function loadLibc(): Promise<Libc> {
  libc ??= noteDescriptors(await openLibc(), descriptors)
  return libc
}

async function open(): Promise<OpenedSource | undefined> {
  try {
    return await openSource(options.source, { ...options, openLibc: loadLibc })
  } catch (error) {
    if (!(error instanceof SourceError || error instanceof DecodeError)) throw error
    answer({ type: 'refused', message: error.message })
    return undefined
  }
}
