// A metric family is a row of a table: name, help and a function from a Snapshot to samples. families.ts lists the
// rows. The texts of a row are user documentation and its only copy: HELP on the page, and docs/metrics.md.

import type { Build, NamespaceState, Pool, ProtocolUse, Snapshot } from '../snapshot.ts'

export interface Sample<Label extends string = string> {
  readonly labels: Readonly<Record<Label, string | number>>
  /** Undefined where it is not known: the series is then absent. */
  readonly value: number | undefined
}

/** The texts of a family. */
export interface Words {
  /** One sentence that says what the value is, for HELP. A rendered HELP has at most 200 characters. */
  readonly help: string
  /** Completes the sentence "Absent ..." of HELP. Undefined where the family has always a series. */
  readonly absent?: string
  /** What HELP has no room for, in whole sentences of Markdown, for docs/metrics.md. */
  readonly details?: string
  /** Set while name, labels or meaning may change in a minor version. */
  readonly experimental?: true
}

export interface Family<Label extends string = string> extends Words {
  readonly name: string
  readonly type: 'gauge' | 'counter'
  readonly labels: readonly Label[]
  /** Gives the samples in any order, and the labels of each in the order of `labels`. */
  samples(snapshot: Snapshot, build: Build): Iterable<Sample<Label>>
}

/** What the rows below have in common: everything but their labels and where their values come from. */
interface Row<Value> extends Words {
  readonly name: string
  readonly type?: Family['type']
  readonly value: Value
}

/** Checks a row's samples against its labels. */
export function defineFamily<const Label extends string>(family: Family<Label>): Family {
  return family
}

/** The namespaces whose last read succeeded. */
export function* readableNamespaces(
  snapshot: Snapshot,
): Iterable<{ readonly netns: string; readonly state: NamespaceState }> {
  for (const { netns, state } of snapshot.namespaces) {
    if (state !== undefined) yield { netns, state }
  }
}

/** One sample for the whole exporter. */
export function perExporter(row: Row<(snapshot: Snapshot) => number | undefined>): Family {
  const { value, ...rest } = row
  return defineFamily({
    type: 'gauge',
    ...rest,
    labels: [],
    *samples(snapshot) {
      yield { labels: {}, value: value(snapshot) }
    },
  })
}

/** One sample a namespace. */
export function perNamespace(row: Row<(state: NamespaceState) => number | undefined>): Family {
  const { value, ...rest } = row
  return defineFamily({
    type: 'gauge',
    ...rest,
    labels: ['netns'],
    *samples(snapshot) {
      for (const { netns, state } of readableNamespaces(snapshot)) {
        yield { labels: { netns }, value: value(state) }
      }
    },
  })
}

/** One sample a namespace and protocol. */
export function perProtocol(
  row: Row<(use: ProtocolUse, state: NamespaceState) => number | undefined>,
): Family {
  const { value, ...rest } = row
  return defineFamily({
    type: 'gauge',
    ...rest,
    labels: ['netns', 'protocol'],
    *samples(snapshot) {
      for (const { netns, state } of readableNamespaces(snapshot)) {
        for (const use of state.protocols) {
          yield { labels: { netns, protocol: use.protocol }, value: value(use, state) }
        }
      }
    },
  })
}

/** One sample a namespace and pool. */
export function perPool(row: Row<(pool: Pool) => number | undefined>): Family {
  const { value, ...rest } = row
  return defineFamily({
    type: 'gauge',
    ...rest,
    labels: ['netns', 'pool'],
    *samples(snapshot) {
      for (const { netns, state } of readableNamespaces(snapshot)) {
        for (const pool of state.pools) {
          yield { labels: { netns, pool: pool.pool }, value: value(pool) }
        }
      }
    },
  })
}
