// Namespaces whose connect() finds no port, clients that try, and the counters as the running program's pages show them.

import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import { INSTANCE_PREFIX, listInstances } from '../../../src/failures/instance.ts'
import { readCgroupPath, readNetnsInode } from '../../../src/failures/traced-threads.ts'
import { parseCgroupPath } from '../../../src/owners/cgroup-path.ts'
import { nameOwner } from '../../../src/owners/owner.ts'
import type { Endpoint } from '../kernel/libc.ts'
import type { Netns } from '../netns/actor.ts'
import type { Labels, Page } from '../netns/actor-page.ts'
import { type NodeExporter, withNodeExporter } from '../program/node-page.ts'
import { type ProgramOptions, waitFor } from '../program/program.ts'
import { listenToOwn } from './own-destinations.ts'

export const TOTAL = 'ephemeral_port_allocation_failures_total'
export const BY_DESTINATION = 'ephemeral_port_destination_allocation_failures_total'
export const PORTS = 10
export const range = { 'net.ipv4.ip_local_port_range': `40000 ${40_000 + PORTS - 1}` }

/** What the page calls it, as long as nothing else has given it a name. */
export const nameOf = ({ pid }: Pick<Netns, 'pid'>) => `inode/${readNetnsInode('/proc', pid)}`
export const pathOf = ({ pid }: Pick<Netns, 'pid'>) => `/proc/${pid}/ns/net`

/** Leaves no port to any of these, by connections that hold all of the range. */
export async function exhaust({ call }: Netns, ...destinations: Endpoint[]): Promise<void> {
  await call('setSysctls', range)
  for (const to of destinations) {
    await call('open', { bind: to, listen: 100 })
    const { locals } = await call('open', { connect: to, count: PORTS })
    if (locals.length !== PORTS) throw new Error(`Only ${locals.length} ports were there to take`)
  }
}

/** The owner that the page must name for a process. */
export function ownerOf(pid: number): string {
  return nameOwner(parseCgroupPath(readCgroupPath('/proc', pid) ?? ''), {
    containerNames: new Map(),
  }).owner
}

export interface FailureExporterOptions extends ProgramOptions {
  readonly place: string
  readonly flags?: readonly string[]
  readonly intervalMs?: number
  /** How long a new pair is 0: longer than a busy machine takes to read a page, where a history must have seen that. */
  readonly holdSeconds?: number
}

/** The program as it looks at the whole node and at that tracefs. */
export function withFailureExporter<T>(
  { place, flags = [], intervalMs = 500, holdSeconds = 1, ...options }: FailureExporterOptions,
  use: (exporter: NodeExporter) => Promise<T>,
): Promise<T> {
  const args = [
    `--path.tracefs=${place}`,
    `--sample.interval=${intervalMs}ms`,
    '--sample.cpu-budget=1',
    `--sample.peak-window=${holdSeconds}s`,
  ]
  return withNodeExporter([...args, ...flags], use, options)
}

export const totalOf = (page: Page, netns: string) =>
  page.find(TOTAL, { netns, pool: 'tcp_connect' })

/** Waits for the counter of each namespace, which must begin at 0. */
export async function untilCounting(
  { until }: NodeExporter,
  names: readonly string[],
): Promise<void> {
  const first = await until((page) => {
    const totals = names.map((netns) => totalOf(page, netns))
    return totals.includes(undefined) ? undefined : totals
  })
  if (first.some((total) => total !== 0)) throw new Error(`The counters began at ${first}`)
}

/** Waits for `count` new samples, so that whatever happened before is on the page. */
export async function afterSamples({ until }: NodeExporter, count: number): Promise<Page> {
  const samplesOf = (page: Page) => page.value('ephemeral_port_samples_total')
  const before = await until(samplesOf)
  return until((page) => (samplesOf(page) >= before + count ? page : undefined))
}

/** What the page says of failures by destination and owner: `destination owner` -> count. */
export function pairsOf(page: Page, netns: string): Map<string, number> {
  const rows = page.list(BY_DESTINATION, { netns })
  return new Map(
    rows.map(({ labels, value }) => [`${labels.destination} ${labels.owner}`, value] as const),
  )
}

/** Waits until the page counts these, as `pairsOf` tells them. */
export async function untilPairs(
  { read }: NodeExporter,
  netns: string,
  wanted: ReadonlyMap<string, number>,
): Promise<Page> {
  const often = { timeout: 120_000, interval: 250 }
  await expect.poll(async () => pairsOf(await read(), netns), often).toEqual(wanted)
  return read()
}

export interface History {
  /** Ends the reading with the page of now; what each counter was, in the order of the pages, equal neighbours once. */
  stop(): Promise<ReadonlyMap<string, readonly number[]>>
}

/** Reads page after page, quicker than they change. Has read the first when it comes back. */
export async function keepHistory(
  { read, until }: NodeExporter,
  names: readonly string[] = [TOTAL, BY_DESTINATION],
): Promise<History> {
  const values = new Map<string, number[]>()
  let stopped = false
  noteAll(await until((page) => page))
  const done = (async () => {
    while (!stopped) {
      await delay(40)
      const page = await read().catch(() => undefined)
      if (page !== undefined) noteAll(page)
    }
  })()

  function noteAll(page: Page): void {
    for (const name of names) {
      for (const { labels, value } of page.list(name)) note(name, labels, value)
    }
  }

  function note(name: string, labels: Labels, value: number): void {
    const key = [name, ...Object.values(labels)].join(' ')
    const seen = values.get(key) ?? []
    values.set(key, seen)
    if (seen.at(-1) !== value) seen.push(value)
  }

  return {
    async stop() {
      stopped = true
      await done
      noteAll(await until((page) => page))
      return values
    },
  }
}

/** The tracing instances of one process. */
export function instancesOf(place: string, pid: number | undefined): string[] {
  return listInstances(place).filter((name) => name.startsWith(`${INSTANCE_PREFIX}${pid}.`))
}

export async function untilInstance(place: string, pid: number | undefined): Promise<string> {
  return waitFor(async () => {
    const [name] = instancesOf(place, pid)
    const path = `${place}/instances/${name}`
    return name !== undefined && existsSync(path) ? path : undefined
  })
}

/**
 * Lets the program hear of our own destinations alone, from the sample on that it waits for. Returns what it has counted as of
 * an unknown namespace since.
 */
export async function hearOwn(
  exporter: NodeExporter,
  place: string,
  samples = 2,
  probesToo = false,
): Promise<(page: Page) => number> {
  const unknownOf = (page: Page) => totalOf(page, 'unknown') ?? Number.NaN
  listenToOwn(await untilInstance(place, exporter.program.child.pid), probesToo)
  const before = unknownOf(await afterSamples(exporter, samples))
  return (page) => unknownOf(page) - before
}
