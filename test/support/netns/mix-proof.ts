// What the page promises against what the kernel does: for each pool, the prediction and then the proof by filling it.

import { setTimeout as delay } from 'node:timers/promises'
import type { Endpoint } from '../kernel/libc.ts'
import type { Netns } from './actor.ts'
import { type Page, readFreshPage } from './actor-page.ts'
import type { Filled, OpenRequest } from './actor-sockets.ts'
import { blackHole, type Destination, destinations, OTHER_SOURCE } from './mix-actions.ts'
import { VETH } from './netns.ts'

const SETTLE_MS = 30
const CONNECT = { pool: 'tcp_connect' }

/** A destination with that many ports has no row yet. */
const MOST_UNSEEN = 7

/** One promise and its proof. */
export interface Proof {
  readonly pool: 'tcp_connect' | 'tcp_bind' | 'udp'
  readonly what: string
  /** What the page says will succeed. */
  readonly predicted: number
  /** What the page says will succeed at least. */
  readonly unused: number
  /** What the page says every destination can get, ports in doubt apart; of connect() only. */
  readonly certain?: number
  /** By how many the prediction may be too high because a destination with few ports has no row. */
  readonly unseen?: number
  /** What did succeed. */
  readonly granted: number
  /** What ended it. */
  readonly refusals: readonly (string | undefined)[]
}

export interface Proofs {
  readonly proofs: readonly Proof[]
  /** Where the page contradicts itself. */
  readonly contradictions: readonly string[]
}

/**
 * Fills every pool once. What remains of it is that recycled TIME_WAITs are gone, so every prediction is read anew, from a page
 * about the namespace that knows everything done before.
 */
export async function proveAll(
  netns: Netns,
  readFresh: () => Promise<Page> = () => readFreshPage(netns),
  fill: Fill = fillOnce,
): Promise<Proofs> {
  const proofs: Proof[] = []
  const contradictions: string[] = []
  for (const target of listTargets()) {
    const page = await readFresh()
    const predicted = predictConnect(page, target)
    if (predicted === undefined) continue // no socket of this device
    const { count, refusal } = await fill(netns, target.request, predicted)
    await delay(SETTLE_MS)
    const unused = page.value('ephemeral_port_pool_unused_ports', CONNECT)
    const what = `connect() ${target.source} -> ${target.destination}`
    proofs.push({
      pool: 'tcp_connect',
      what,
      predicted,
      unused,
      unseen: findRow(page, target) === undefined ? MOST_UNSEEN : 0,
      certain: takeCertain(page),
      granted: count,
      refusals: [refusal],
    })
    contradictions.push(...listContradictions(page))
  }
  const page = await readFresh()
  proofs.push(await proveBind(netns, page, fill))
  proofs.push(await proveUdpBind(netns, page, fill))
  proofs.push(await proveUdpConnect(netns, page, fill))
  return { proofs, contradictions }
}

/** Fills a pool of which so many ports are predicted. */
type Fill = (netns: Netns, request: OpenRequest, predicted: number) => Promise<Filled>

const fillOnce: Fill = (netns, request) => netns.call('fill', request)

/**
 * Fills once more where less than predicted is granted: the canary of an exporter that probes holds a port for a moment, and
 * perhaps the last one. What is over-estimated is so both times.
 */
export const fillBesideCanary: Fill = async (netns, request, predicted) => {
  const first = await netns.call('fill', request)
  if (first.count >= predicted) return first
  await delay(SETTLE_MS)
  const second = await netns.call('fill', request)
  return second.count > first.count
    ? { ...second, count: Math.min(second.count, predicted) }
    : first
}

interface Target {
  readonly request: OpenRequest
  readonly source: string
  readonly destination: string
  /** Only where sockets of the same device exist is there a row for it. */
  readonly needsRow: boolean
}

function listTargets(): readonly Target[] {
  const [first, , third] = destinations
  if (first === undefined || third === undefined) throw new Error('Too few destinations')
  const fromOther = { bind: { address: OTHER_SOURCE, port: 0 }, bindAddressNoPort: true }
  return [
    ...destinations.map((destination) => target(destination, {})),
    target({ ...first, from: OTHER_SOURCE }, fromOther),
    target({ ...third, from: OTHER_SOURCE }, fromOther),
    target(blackHole, { nonBlocking: true }),
    target({ ...first, from: `${first.from}%lo` }, { device: 'lo' }),
    target(
      { ...blackHole, from: `${blackHole.from}%${VETH}` },
      { device: VETH, nonBlocking: true },
    ),
  ]
}

function target({ from, to }: Destination, options: OpenRequest): Target {
  return {
    request: { ...options, connect: to },
    source: from,
    destination: renderEndpoint(to),
    needsRow: from.includes('%'),
  }
}

function renderEndpoint({ address, port }: Endpoint): string {
  const folded = address.replace('::ffff:', '')
  return folded.includes(':') ? `[${folded}]:${port}` : `${folded}:${port}`
}

function predictConnect(page: Page, { source, destination, needsRow }: Target): number | undefined {
  const row = findRow(page, { source, destination })
  if (row !== undefined) return availablePorts(page, row)
  return needsRow ? undefined : untouchedPorts(page)
}

function findRow(page: Page, { source, destination }: Pick<Target, 'source' | 'destination'>) {
  return page.find('ephemeral_port_destination_utilization_ratio', { source, destination })
}

/** What every destination can get at least, whatever bind() has closed. */
function takeCertain(page: Page): number {
  const available = page.value('ephemeral_port_pool_available_ports', CONNECT)
  return available - page.value('ephemeral_port_pool_uncertain_ports', CONNECT)
}

function availablePorts(page: Page, utilization: number): number {
  return Math.round((1 - utilization) * capacityPorts(page))
}

/** What a destination nobody has talked to yet can get. */
function untouchedPorts(page: Page): number {
  const blocked = page.list('ephemeral_port_blocked_ports')
  if (blocked.length === 0) throw new Error('No ephemeral_port_blocked_ports on the page')
  return capacityPorts(page) - blocked.reduce((sum, { value }) => sum + value, 0)
}

function capacityPorts(page: Page): number {
  return page.value('ephemeral_port_pool_capacity_ports', CONNECT)
}

/** The pool's value is that of its worst destination, which may be one without a row. */
function listContradictions(page: Page): string[] {
  const rows = page.list('ephemeral_port_destination_utilization_ratio')
  const worst = Math.min(
    untouchedPorts(page),
    ...rows.map(({ value }) => availablePorts(page, value)),
  )
  const available = page.value('ephemeral_port_pool_available_ports', CONNECT)
  const least = Math.min(worst, untouchedPorts(page) - MOST_UNSEEN)
  return available <= worst && available >= least
    ? []
    : [`tcp_connect has ${available} available ports, its worst destination ${worst}`]
}

/**
 * Fills a pool by IPv4 and then by IPv6, which binds dual-stack: the page promises the smaller. Neither leaves anything
 * behind.
 */
async function proveSmaller(
  netns: Netns,
  page: Page,
  options: {
    pool: 'tcp_bind' | 'udp'
    what: string
    requests: readonly OpenRequest[]
    fill: Fill
  },
): Promise<Proof> {
  const { pool, what, requests, fill } = options
  const predicted = page.value('ephemeral_port_pool_available_ports', { pool })
  const filled: Filled[] = []
  for (const request of requests) filled.push(await fill(netns, request, predicted))
  const counts = filled.map(({ count }) => count)
  return {
    pool,
    what: `${what} (IPv4, IPv6: ${counts.join(', ')})`,
    predicted,
    unused: page.value('ephemeral_port_pool_unused_ports', { pool }),
    granted: Math.min(...counts),
    refusals: filled.map(({ refusal }) => refusal),
  }
}

const wildcards: readonly OpenRequest[] = [
  { bind: { address: '0.0.0.0', port: 0 } },
  { bind: { address: '::', port: 0 }, ipv6Only: false },
]

function proveBind(netns: Netns, page: Page, fill: Fill): Promise<Proof> {
  return proveSmaller(netns, page, { pool: 'tcp_bind', what: 'bind(0)', requests: wildcards, fill })
}

function proveUdpBind(netns: Netns, page: Page, fill: Fill): Promise<Proof> {
  const requests = wildcards.map((request) => ({ ...request, protocol: 'udp' as const }))
  return proveSmaller(netns, page, { pool: 'udp', what: 'bind(0)', requests, fill })
}

// Without bind() it binds to the wildcard first, whatever the destination.
function proveUdpConnect(netns: Netns, page: Page, fill: Fill): Promise<Proof> {
  const requests = ['127.0.0.1', '::1'].map((address) => ({
    protocol: 'udp' as const,
    connect: { address, port: 53 },
  }))
  return proveSmaller(netns, page, { pool: 'udp', what: 'connect()', requests, fill })
}
