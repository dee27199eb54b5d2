// Runs as the first process of a machine that has nothing but this. It looks at a namespace without the module tcp_diag and
// with it, makes histories that leave ports closed and leaks of idle bound sockets, reads the page, and then asks the kernel
// until it refuses. Prints one line of JSON and powers off.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { release } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { Netns } from '../support/netns/actor.ts'
import { type Page, parsePage } from '../support/netns/actor-page.ts'
import type { OpenRequest } from '../support/netns/actor-sockets.ts'
import {
  createMachine,
  furnishMachine,
  furnishVrf,
  loadModule,
  powerOff,
  setSysctls,
} from './machine.ts'
import { type Leak, MARK, type Neighbour, type Outcome, type Row, type Vrf } from './row.ts'

const FIRST = 40_000
const PORTS = 100
const FLAGS = ['--sample.interval=1s', '--sample.cpu-budget=1', '--detail.min-utilization=0']
const EXPORTERS = {
  without: { port: 10_132, flags: [...FLAGS, '--no-collector.buckets'] },
  with: { port: 10_133, flags: [...FLAGS, '--collector.buckets'] },
  probing: {
    port: 10_134,
    flags: [...FLAGS, '--no-collector.buckets', '--collector.probe', '--netns=all'],
  },
} as const
/** On an emulated processor. */
const START_MS = 600_000
/** Netlink is tried again every minute. */
const LATER_MS = 180_000
const CONNECT = { pool: 'tcp_connect' }
const server = { address: '0.0.0.0', port: 8001 }
/** The worst destination: it has eight connections, every other has one. */
const worst = { address: '127.0.0.1', port: 8001 }
const WORST_HELD = 8
const VRF = { device: 'vrf0', address: '10.30.0.1' }

type Draft = { -readonly [name in keyof Row]: Row[name] } & {
  readonly neighbours: Neighbour[]
  readonly outcomes: Outcome[]
  readonly leaks: Leak[]
  readonly vrfs: Vrf[]
}

interface Scene {
  /** Opens what stays until the end of the story. */
  open(request: OpenRequest): Promise<Opened>
  close(opened: Opened): Promise<void>
}
type Story = (scene: Scene) => Promise<unknown>
interface Opened {
  readonly sockets: readonly number[]
  readonly ports: readonly number[]
}

/** Connects to as many destinations; returns the ports. */
async function connectAround(
  open: Scene['open'],
  count: number,
  request: OpenRequest,
): Promise<readonly number[]> {
  const ports: number[] = []
  for (let at = 1; at <= count; at++) {
    const connect = { ...worst, address: `127.0.1.${at}` }
    ports.push(...(await open({ ...request, connect })).ports)
  }
  return ports
}

/** Joins ports that others connected from, does something, and goes. */
function joinAndGo(count: number, request: (port: number) => OpenRequest): Story {
  return async ({ open, close }) => {
    const ports = await connectAround(open, count, { reuseAddress: true })
    for (const port of ports) await close(await open({ reuseAddress: true, ...request(port) }))
  }
}

const histories: Readonly<Record<string, Story>> = {
  'nothing but connections': ({ open }) => connectAround(open, 40, {}),
  'bind() before connect()': ({ open }) => connectAround(open, 40, { bind: { ...worst, port: 0 } }),
  'bound to another address, and gone': joinAndGo(24, (port) => ({
    bind: { address: '127.0.0.99', port },
  })),
  'listened on another address, and gone': joinAndGo(30, (port) => ({
    bind: { address: '127.0.0.99', port },
    listen: 5,
  })),
  'bound to an IPv6 address, and gone': joinAndGo(40, (port) => ({
    bind: { address: '::1', port },
  })),
  'bound to another address, connected, and gone': joinAndGo(26, (port) => ({
    bind: { address: '127.0.0.98', port },
    connect: { ...worst, address: '127.0.2.1' },
  })),
  'bound without SO_REUSEADDR, and gone': joinAndGo(50, (port) => ({
    bind: { address: '127.0.0.97', port },
    reuseAddress: false,
  })),
}

/** A server on an emulated processor may give up before the question has arrived. */
async function read(netns: Netns, port: number, path = '/metrics'): Promise<string> {
  const deadline = Date.now() + START_MS
  for (;;) {
    try {
      return (await netns.call('get', { path, port })).body
    } catch (error) {
      if (Date.now() > deadline) throw error
    }
    await delay(1000)
  }
}

/** The page of the exporter on that port once `count` samples have begun after this call. */
async function readFresh(netns: Netns, port: number, count = 2): Promise<Page> {
  const look = async () => parsePage(await read(netns, port))
  const samples = (page: Page) => page.value('ephemeral_port_samples_total')
  const before = samples(await look())
  let page = await look()
  while (samples(page) < before + count) {
    await delay(100)
    page = await look()
  }
  return page
}

const exactnessOf = (page: Page, netns = {}) =>
  page.list('ephemeral_port_source_info', netns)[0]?.labels.exactness ?? ''

async function tell(netns: Netns, history: string, story: Story): Promise<Outcome> {
  const left = new Set<number>()
  const close = async ({ sockets }: Pick<Opened, 'sockets'>): Promise<void> => {
    await netns.call('close', { sockets, how: 'rst' })
    for (const socket of sockets) left.delete(socket)
  }
  const open = async (request: OpenRequest): Promise<Opened> => {
    const { sockets, locals, refusal } = await netns.call('open', request)
    if (refusal !== undefined) throw new Error(`${history}: ${refusal}`)
    for (const socket of sockets) left.add(socket)
    return { sockets, ports: locals.map(({ port }) => port) }
  }
  await open({ connect: worst, count: WORST_HELD })
  await story({ open, close })
  const without = await readFresh(netns, EXPORTERS.without.port)
  const withBuckets = await readFresh(netns, EXPORTERS.with.port)
  const { count } = await netns.call('fill', { connect: worst })
  await close({ sockets: [...left] })
  await delay(500)
  return {
    history,
    without: without.value('ephemeral_port_pool_available_ports', CONNECT),
    uncertainWithout: without.find('ephemeral_port_pool_uncertain_ports', CONNECT),
    exactnessWithout: exactnessOf(without),
    with: withBuckets.value('ephemeral_port_pool_available_ports', CONNECT),
    exactnessWith: exactnessOf(withBuckets),
    granted: count,
  }
}

/** As many idle bound sockets as that: what the exporter with the probe says of them. */
async function leak(netns: Netns, bound: number): Promise<Leak> {
  const { port } = EXPORTERS.probing
  const { sockets } = await netns.call('open', {
    bind: { address: '0.0.0.0', port: 0 },
    count: bound,
  })
  const page = await readFresh(netns, port, 4)
  const host = { netns: 'host' }
  const value = (name: string, pool: string) => page.find(name, { ...host, pool })
  const status = await read(netns, port, '/')
  const { count } = await netns.call('fill', { connect: worst })
  await netns.call('close', { sockets, how: 'rst' })
  return {
    bound,
    bindAvailable: value('ephemeral_port_pool_available_ports', 'tcp_bind') ?? -1,
    connectAvailable: value('ephemeral_port_pool_available_ports', 'tcp_connect') ?? -1,
    risk: value('ephemeral_port_exhaustion_risk_ratio', 'tcp_connect'),
    canary: value('ephemeral_port_probe_success', 'tcp_bind') ?? -1,
    severity: /^(ok|note|warning|critical):/.exec(status)?.[1] ?? '',
    exactness: exactnessOf(page, host),
    granted: count,
  }
}

/** Listeners on ports without a VRF, and listeners on others and clients in one. */
async function lookAtVrf(netns: Netns): Promise<readonly Vrf[]> {
  const { device, address } = VRF
  loadModule('vrf')
  furnishVrf(device, address)
  const listen = (port: number, of: string, within?: string) =>
    netns.call('open', { bind: { address: of, port }, listen: 65_535, device: within })
  const inVrf = { connect: { address, port: server.port }, device }
  await listen(server.port, address, device)
  for (let at = 0; at < 30; at++) await listen(FIRST + at, address, device)
  for (let at = 0; at < 10; at++) await listen(FIRST + 50 + at, '127.0.0.1')
  await netns.call('open', { ...inVrf, count: 20 })
  const pages = [EXPORTERS.without, EXPORTERS.with].map(({ port }) => readFresh(netns, port))
  const [without, withBuckets] = await Promise.all(pages)
  const { count: granted } = await netns.call('fill', { connect: worst })
  const { count: grantedInVrf } = await netns.call('fill', inVrf)
  return [without, withBuckets].map((page, at) => ({
    buckets: at === 1,
    available: page?.value('ephemeral_port_pool_available_ports', CONNECT) ?? -1,
    exactness: page === undefined ? '' : exactnessOf(page),
    granted,
    grantedInVrf,
  }))
}

/** What is said of the namespace of the process that is not the host's. */
async function readNeighbour(netns: Netns): Promise<Neighbour> {
  const deadline = Date.now() + START_MS
  for (;;) {
    const page = await readFresh(netns, EXPORTERS.probing.port)
    const info = page
      .list('ephemeral_port_source_info')
      .find(({ labels }) => labels.netns?.startsWith('inode/'))
    if (info !== undefined) {
      const { netns: name = '', reader = '', range = '' } = info.labels
      const pool = { netns: name, ...CONNECT }
      return {
        reader,
        range,
        capacity: page.value('ephemeral_port_pool_capacity_ports', pool),
        available: page.value('ephemeral_port_pool_available_ports', pool),
      }
    }
    if (Date.now() > deadline) throw new Error('The neighbour is not on the page')
  }
}

/** Without tcp_diag, and once it was loaded: what is said of a namespace that has no port left, then and later. */
async function lookWithout(netns: Netns): Promise<readonly Neighbour[]> {
  const neighbour = fork(new URL('./neighbour.js', import.meta.url))
  await once(neighbour, 'message')
  const before = await readNeighbour(netns)
  loadModule('tcp_diag')
  const deadline = Date.now() + LATER_MS
  let after = await readNeighbour(netns)
  while (after.reader !== 'netlink' && Date.now() < deadline) after = await readNeighbour(netns)
  neighbour.kill('SIGKILL')
  return [before, after]
}

async function run(): Promise<Row> {
  const row = {
    release: release(),
    log: '',
    neighbours: [],
    outcomes: [],
    leaks: [],
    vrfs: [],
  } as Draft
  const netns = createMachine()
  try {
    furnishMachine()
    for (const name of ['inet_diag', 'udp_diag']) loadModule(name)
    await netns.call('open', { bind: server, listen: 65_535 })
    const range = { 'net.ipv4.ip_local_port_range': `${FIRST} ${FIRST + PORTS - 1}` }
    setSysctls({ ...range, 'net.ipv4.tcp_tw_reuse': '0' })
    const { pid } = await netns.call('startExporter', { ...EXPORTERS.probing, startMs: START_MS })
    row.neighbours.push(...(await lookWithout(netns)))
    for (const bound of [PORTS, 60]) row.leaks.push(await leak(netns, bound))
    row.log = await netns.call('exporterLog', { pid })
    await netns.call('stopExporter', { pid })
    for (const one of [EXPORTERS.without, EXPORTERS.with]) {
      await netns.call('startExporter', { ...one, startMs: START_MS })
    }
    for (const [history, story] of Object.entries(histories)) {
      row.outcomes.push(await tell(netns, history, story))
    }
    row.vrfs.push(...(await lookAtVrf(netns)))
  } catch (error) {
    row.problem = error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
  return row
}

console.log(`\n${MARK}${JSON.stringify(await run())}`)
// The serial line is slow.
await delay(500)
powerOff()
