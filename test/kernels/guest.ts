// Runs as the first process of a machine that has nothing but this: makes histories that leave ports closed, reads the page
// with and without bind buckets, and then asks the kernel until it refuses. Prints one line of JSON and powers off.

import { openSync, readdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { release } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { openLibc } from '../support/kernel/libc.ts'
import type { Netns } from '../support/netns/actor.ts'
import { createExporterOperations } from '../support/netns/actor-exporter.ts'
import { type Page, parsePage } from '../support/netns/actor-page.ts'
import { createSocketOperations, type OpenRequest } from '../support/netns/actor-sockets.ts'
import { bringUp } from '../support/netns/netns.ts'
import { MARK, type Outcome, type Row } from './row.ts'

const MODULES = '/modules'
const SYS_FINIT_MODULE = 313
const POWER_OFF = 0x4321_fedc
const FIRST = 40_000
const FLAGS = ['--sample.interval=1s', '--sample.cpu-budget=1', '--detail.min-utilization=0']
const EXPORTERS = {
  without: { port: 10_132, flags: [...FLAGS, '--no-collector.buckets'] },
  with: { port: 10_133, flags: [...FLAGS, '--collector.buckets'] },
} as const
/** On an emulated processor. */
const START_MS = 600_000
const CONNECT = { pool: 'tcp_connect' }
const server = { address: '0.0.0.0', port: 8001 }
/** The worst destination: it has eight connections, every other has one. */
const worst = { address: '127.0.0.1', port: 8001 }
const WORST_HELD = 8

const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
const library = koffi.load(null)
const libc = openLibc()

function furnish(): void {
  const mount = library.func(
    'int mount(const char *, const char *, const char *, unsigned long, void *)',
  )
  for (const [type, place] of [
    ['proc', '/proc'],
    ['sysfs', '/sys'],
    ['tmpfs', '/tmp'],
  ]) {
    if (mount(type, place, type, 0, null) !== 0) throw new Error(`Cannot mount ${place}`)
  }
  const syscall = library.func('long syscall(long, long, const char *, long)')
  for (const name of readdirSync(MODULES).sort()) {
    const result = Number(syscall(SYS_FINIT_MODULE, openSync(`${MODULES}/${name}`, 'r'), '', 0))
    if (result !== 0) throw new Error(`Cannot load ${name}: errno ${koffi.errno()}`)
  }
  bringUp(libc, 'lo')
}

/** Looks like a namespace with an actor in it, and is this machine. */
function createMachine(): Netns {
  const operations: Record<string, (argument: never) => unknown> = {
    ...createSocketOperations(libc),
    ...createExporterOperations(),
  }
  const call = async (name: string, argument: unknown) =>
    await operations[name]?.(argument as never)
  return { pid: process.pid, call: call as Netns['call'] }
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
async function readPage(netns: Netns, port: number): Promise<string> {
  const deadline = Date.now() + START_MS
  for (;;) {
    try {
      return (await netns.call('get', { path: '/metrics', port })).body
    } catch (error) {
      if (Date.now() > deadline) throw error
    }
    await delay(1000)
  }
}

/** What the exporter on that port says once a sample has begun after this call. */
async function readAvailable(netns: Netns, port: number) {
  const read = async () => parsePage(await readPage(netns, port))
  const samples = (page: Page) => page.value('ephemeral_port_samples_total')
  const before = samples(await read())
  let page = await read()
  while (samples(page) < before + 2) {
    await delay(100)
    page = await read()
  }
  return {
    available: page.value('ephemeral_port_pool_available_ports', CONNECT),
    uncertain: page.find('ephemeral_port_pool_uncertain_ports', CONNECT),
    exactness: page.list('ephemeral_port_source_info')[0]?.labels.exactness ?? '',
  }
}

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
  const without = await readAvailable(netns, EXPORTERS.without.port)
  const withBuckets = await readAvailable(netns, EXPORTERS.with.port)
  const { count } = await netns.call('fill', { connect: worst })
  await close({ sockets: [...left] })
  await delay(500)
  return {
    history,
    without: without.available,
    uncertainWithout: without.uncertain,
    exactnessWithout: without.exactness,
    with: withBuckets.available,
    exactnessWith: withBuckets.exactness,
    granted: count,
  }
}

async function run(): Promise<Row> {
  const outcomes: Outcome[] = []
  let log = ''
  try {
    furnish()
    const netns = createMachine()
    await netns.call('open', { bind: server, listen: 65_535 })
    const range = { 'net.ipv4.ip_local_port_range': `${FIRST} ${FIRST + 99}` }
    setSysctls({ ...range, 'net.ipv4.tcp_tw_reuse': '0' })
    await netns.call('startExporter', { ...EXPORTERS.without, startMs: START_MS })
    const { pid } = await netns.call('startExporter', { ...EXPORTERS.with, startMs: START_MS })
    for (const [history, story] of Object.entries(histories)) {
      outcomes.push(await tell(netns, history, story))
    }
    log = await netns.call('exporterLog', { pid })
    return { release: release(), log, outcomes }
  } catch (error) {
    const problem = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { release: release(), problem, log, outcomes }
  }
}

function setSysctls(values: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(values)) {
    writeFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, `${value}\n`)
  }
}

console.log(`\n${MARK}${JSON.stringify(await run())}`)
// The serial line is slow.
await delay(500)
library.func('int reboot(int)')(POWER_OFF)
