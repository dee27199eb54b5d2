// What goes wrong during the soak, one thing at a time. Each leaves the program as it was, or started anew.

import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Snapshot } from '../../src/snapshot.ts'
import type { Random } from '../fuzz/mutate.ts'
import { type SoakNode, type SoakPod, troubles } from './node.ts'
import type { Subject } from './subject.ts'

export interface FaultTools {
  readonly subject: Subject
  readonly random: Random
  readonly port: number
  /** The worker dies when it exists. */
  readonly killFile: string
  /** How many seconds the program's clock is ahead. */
  readonly clockFile: string
  readonly node: SoakNode
  /** Where it is said what was false. */
  readonly problems: string[]
}

async function holdConnections(
  port: number,
  count: number,
  send: (index: number) => string | Uint8Array,
  ms: number,
): Promise<void> {
  const sockets = Array.from({ length: count }, (_, index) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(send(index))
    return socket
  })
  await delay(ms)
  for (const socket of sockets) socket.destroy()
}

function limitDescriptors(pid: number, limit: string): void {
  spawnSync('prlimit', ['--pid', String(pid), `--nofile=${limit}`])
}

const HOUR_SECONDS = 3600
const TROUBLE_MS = 4000

/** Reads what the program calls the pod until the time is over, which must be one of its names or nothing yet. */
async function watchPod(
  { subject, problems }: FaultTools,
  { inode, names }: SoakPod,
  isOver: (name: string | undefined) => boolean,
): Promise<void> {
  for (;;) {
    const text = await subject.ask('/api/v1/snapshot')
    const { snapshot } = JSON.parse(text ?? '{}') as { snapshot?: Snapshot }
    const name = snapshot?.namespaces.find((one) => one.inode === inode)?.netns
    if (name !== undefined && !names.includes(name)) problems.push(`${names[1]} is called ${name}`)
    if (isOver(name)) return
    await delay(100)
  }
}

export const faults: Readonly<Record<string, (tools: FaultTools) => Promise<void>>> = {
  'worker dies inside a namespace': async ({ killFile }) => {
    writeFileSync(killFile, '')
    for (let left = 100; left > 0 && existsSync(killFile); left--) await delay(50)
  },
  'stopped for seconds': async ({ subject, random }) => {
    subject.signal('SIGSTOP')
    await delay(500 + random.below(3000))
    subject.signal('SIGCONT')
  },
  'killed and started anew': async ({ subject }) => {
    await subject.end('SIGKILL')
    await subject.start()
  },
  'ended and started anew': async ({ subject }) => {
    await subject.end('SIGTERM')
    await subject.start()
  },
  'no descriptors left': async ({ subject }) => {
    limitDescriptors(subject.pid(), `${subject.holds().descriptors}:`)
    await delay(1500)
    limitDescriptors(subject.pid(), '4096:')
  },
  '200 scrapes at once': async ({ subject }) => {
    await Promise.all(Array.from({ length: 200 }, () => subject.read()))
  },
  '300 connections that say half a request': ({ port }) =>
    holdConnections(port, 300, () => 'GET /metrics HTTP/1.1\r\nHost: x\r\n', 1500),
  'junk requests': ({ port, random }) =>
    holdConnections(
      port,
      100,
      () => Uint8Array.from({ length: 300 }, () => random.below(256)),
      500,
    ),
  'requests for pages that are not there': async ({ subject }) => {
    const paths = ['/../etc/passwd', '/metrics?x=%00', '/netns?name=%ff', '//', '/api/v1/x']
    await Promise.all(
      ['GET', 'POST', 'DELETE'].flatMap((method) => paths.map((path) => subject.ask(path, method))),
    )
  },
  'the API server fails': async (tools) => {
    const { node, random } = tools
    const handlers = Object.values(troubles)
    node.api.trouble = handlers[random.below(handlers.length)]
    const pod = await node.startPod()
    const untilMs = performance.now() + TROUBLE_MS
    await watchPod(tools, pod, () => performance.now() > untilMs)
    node.api.trouble = undefined
    await pod.end()
  },
  'a pod comes and goes': async (tools) => {
    const pod = await tools.node.startPod()
    const untilMs = performance.now() + TROUBLE_MS
    await watchPod(tools, pod, (name) => name === pod.names[1] || performance.now() > untilMs)
    await pod.end()
  },
  'a disk that is full, for its log, and started anew': async ({ subject }) => {
    await subject.end('SIGTERM')
    const full = openSync('/dev/full', 'w')
    await subject.start(full)
    closeSync(full)
  },
  'the clock steps by an hour and back': async ({ clockFile, random }) => {
    writeFileSync(clockFile, String(random.below(2) === 0 ? HOUR_SECONDS : -HOUR_SECONDS))
    await delay(500 + random.below(3000))
    writeFileSync(clockFile, '0')
  },
  nothing: async () => {},
}
