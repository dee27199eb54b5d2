// Samples of the one namespace that a source sees by itself, as the worker takes them.

import type { Step } from '../../../src/model/step.ts'
import { createOneNamespace } from '../../../src/namespaces/namespaces.ts'
import type { Sample } from '../../../src/sample.ts'
import type { Namespace } from '../../../src/snapshot.ts'
import type { AsynchronousSource, Source } from '../../../src/sources/source.ts'
import { createNodeNames, type NodeNames } from '../../../src/worker/node-names.ts'
import type { ReadingOptions, SampleClocks } from '../../../src/worker/reading.ts'
import { createTakeSample } from '../../../src/worker/take-sample.ts'

type WholeSample = Omit<Sample, 'namespaces'> & { readonly namespaces: readonly Namespace[] }

/** What a sample asks beside the source. */
export interface Asked extends Pick<ReadingOptions, 'prober' | 'buckets' | 'peers'> {
  readonly nameOwnersOf?: NodeNames['nameOwnersOf']
  readonly ownPid?: number
}

const NOTHING_ASKED: Asked = { prober: undefined, buckets: undefined }

/** Creates a source of one namespace, whose readings are what the test plays. */
export function createScriptedSource(read: AsynchronousSource['read']): Source {
  return { reader: 'netlink', synchronous: false, entersNamespaces: false, traits: {}, read }
}

export function createSampling(
  source: Source,
  step: Step,
  clocks: SampleClocks,
  { prober, buckets, peers, nameOwnersOf, ownPid }: Asked = NOTHING_ASKED,
): () => Promise<WholeSample> {
  const names = createNodeNames({
    procfs: '/proc',
    cgroup: undefined,
    owners: false,
    kubernetes: false,
    monotonicSeconds: clocks.monotonicSeconds,
  })
  const takeSample = createTakeSample({
    namespaces: createOneNamespace(source),
    step,
    names: nameOwnersOf === undefined ? names : { ...names, nameOwnersOf },
    clocks,
    failureWatch: undefined,
    prober,
    buckets,
    peers,
    mostNamespaces: Infinity,
    detailMinUtilization: 0.2,
    ownPid,
  })
  return async () => {
    const sample = await takeSample(0.1)
    // A namespace that is read each time is said anew each time.
    const namespaces = sample.namespaces.filter((one) => typeof one !== 'string')
    return { ...sample, namespaces }
  }
}
