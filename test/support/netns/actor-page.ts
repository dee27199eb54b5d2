// The exporter's page as a live test reads it: text in, values by name and labels out, and the wait for a page that
// knows everything done so far.

import { setTimeout as delay } from 'node:timers/promises'
import type { Netns } from './actor.ts'

const FRESH_MS = 300_000
const POLL_MS = 20
/** The timestamps on both sides are whole milliseconds. */
const ROUNDING_SECONDS = 0.002

export type Labels = Readonly<Record<string, string>>

export interface Series {
  readonly labels: Labels
  readonly value: number
}

export interface Page {
  readonly text: string
  /** All series of a family that carry at least these labels. */
  list(name: string, labels?: Labels): readonly Series[]
  /** The value of the one series with at least these labels; undefined where there is none. */
  find(name: string, labels?: Labels): number | undefined
  /** As find(), but a missing series is an error. */
  value(name: string, labels?: Labels): number
}

/** Parses the text format 0.0.4. */
export function parsePage(text: string): Page {
  const families = new Map<string, Series[]>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line)
    if (match === null) throw new Error(`Cannot parse the line ${JSON.stringify(line)}`)
    const [, name = '', labels = '', value = ''] = match
    const series = families.get(name) ?? []
    families.set(name, series)
    series.push({ labels: parseLabels(labels), value: parseValue(value) })
  }

  function list(name: string, labels: Labels = {}): readonly Series[] {
    const wanted = Object.entries(labels)
    const all = families.get(name) ?? []
    return all.filter((series) => wanted.every(([key, value]) => series.labels[key] === value))
  }
  function find(name: string, labels: Labels = {}): number | undefined {
    const found = list(name, labels)
    if (found.length > 1) throw new Error(`${name}${JSON.stringify(labels)} is not one series`)
    return found[0]?.value
  }
  return {
    text,
    list,
    find,
    value(name, labels = {}) {
      const value = find(name, labels)
      if (value === undefined) throw new Error(`No ${name}${JSON.stringify(labels)} on the page`)
      return value
    },
  }
}

function parseLabels(text: string): Labels {
  const pairs = text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)
  const plain = (value: string) =>
    value.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character))
  return Object.fromEntries([...pairs].map(([, key = '', value = '']) => [key, plain(value)]))
}

function parseValue(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY
  if (text === '-Inf') return Number.NEGATIVE_INFINITY
  return Number(text)
}

export async function readPage(netns: Netns): Promise<Page> {
  const { status, body } = await netns.call('get', { path: '/metrics' })
  if (status !== 200) throw new Error(`GET /metrics gave ${status}: ${body}`)
  return parsePage(body)
}

/** The page of a sample that began after this call, so that it knows everything done before. */
export async function readFreshPage(netns: Netns): Promise<Page> {
  const askedAtMs = Date.now()
  return await untilRead(netns, (page) => startedAtSeconds(page) * 1000 > askedAtMs)
}

/** The page of the last sample, or after a standstill of the next. */
export async function readLastPage(netns: Netns): Promise<Page> {
  return await untilRead(netns, () => true)
}

async function untilRead(netns: Netns, isWanted: (page: Page) => boolean): Promise<Page> {
  const deadlineMs = Date.now() + FRESH_MS
  for (;;) {
    const page = await readPage(netns)
    if (isWanted(page) && hasReadings(page)) return page
    if (Date.now() > deadlineMs) throw new Error(`No new sample within ${FRESH_MS} ms`)
    await delay(Math.max(POLL_MS, msToNextSample(page)))
  }
}

/** A machine that stands still makes a sample stale before it is read: the page then keeps its time and nothing else. */
export function hasReadings(page: Page): boolean {
  return page.find('ephemeral_port_scrape_collector_success', { collector: 'sockets' }) === 1
}

/** In how many milliseconds the next sample is due, before which the page stays as it is; not above 0 where it is late. */
export function msToNextSample(page: Page): number {
  const ended = page.find('ephemeral_port_last_sample_timestamp_seconds') ?? 0
  const interval = page.find('ephemeral_port_sample_interval_seconds') ?? 0
  return (ended + interval) * 1000 - Date.now()
}

/** Reads what a fresh page says of tcp_connect, and how sure it is. */
export async function lookAtConnect(netns: Netns) {
  const page = await readFreshPage(netns)
  const pool = { pool: 'tcp_connect' }
  return {
    available: page.value('ephemeral_port_pool_available_ports', pool),
    uncertain: page.value('ephemeral_port_pool_uncertain_ports', pool),
    exactness: page.list('ephemeral_port_source_info')[0]?.labels.exactness,
  }
}

// The timestamp is that of the end.
function startedAtSeconds(page: Page): number {
  const ended = page.value('ephemeral_port_last_sample_timestamp_seconds')
  const stages = page.list('ephemeral_port_sample_duration_seconds')
  return ended - ROUNDING_SECONDS - stages.reduce((sum, { value }) => sum + value, 0)
}
