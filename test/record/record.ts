// Records scenarios as fixtures: names (default all) -> test/fixtures/scenarios/<name>. Needs root and a current kernel.
//
//   npx tsx test/record/record.ts [scenario ...]

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { arch, release } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Libc, openLibc } from '../../src/kernel/libc.ts'
import type { Granted, ScenarioFile } from '../support/kernel/scenario.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import type { OpenRequest } from '../support/netns/actor-sockets.ts'
import { whyNotExact } from '../support/netns/live.ts'
import { applySettings } from '../support/netns/mix.ts'
import { type Capture, captureNamespace } from './capture.ts'
import { scenarios } from './scenarios.ts'
import { createStage } from './stage.ts'

const DIRECTORY = fileURLToPath(new URL('../fixtures/scenarios/', import.meta.url))
/** What connect() and close() set going on loopback is over by then. */
const SETTLE_MS = 300

async function record(libc: Libc, name: string): Promise<void> {
  const scenario = scenarios[name]
  if (scenario === undefined) {
    throw new Error(`No scenario ${name}; there are ${Object.keys(scenarios).join(', ')}`)
  }
  await withNetns(async (netns) => {
    await applySettings(netns, scenario.settings)
    await scenario.build(createStage(netns))
    await delay(SETTLE_MS)
    const capture = captureNamespace(libc, netns.pid)
    const granted = scenario.worst ? await exhaust(netns, scenario.worst) : undefined
    const file: ScenarioFile = {
      description: scenario.description,
      kernel: release().replace(/-.*/, ''),
      arch: arch(),
      capabilities: capture.capabilities,
      lookMs: capture.lookMs,
      ...(granted && { granted }),
    }
    write(join(DIRECTORY, name), file, capture)
    process.stdout.write(`${name}: ${JSON.stringify(granted ?? 'not exhausted')}\n`)
  })
}

/** What the kernel really grants next; connect() comes last, because it recycles what others have to count. */
async function exhaust(netns: Netns, worst: OpenRequest): Promise<Granted> {
  const smaller = async (protocol: 'tcp' | 'udp') => {
    const any4 = { protocol, bind: { address: '0.0.0.0', port: 0 } }
    const any6 = { protocol, bind: { address: '::', port: 0 }, ipv6Only: false }
    const counts = [await netns.call('fill', any4), await netns.call('fill', any6)]
    return Math.min(...counts.map(({ count }) => count))
  }
  const tcpBind = await smaller('tcp')
  const udp = await smaller('udp')
  const { count } = await netns.call('fill', worst)
  return { tcp_connect: count, tcp_bind: tcpBind, udp }
}

function write(directory: string, file: ScenarioFile, { dumps, files }: Capture): void {
  rmSync(directory, { recursive: true, force: true })
  const texts: [string, string][] = [
    ['scenario.json', `${JSON.stringify(file, null, 2)}\n`],
    ['netlink.json', `${JSON.stringify(dumps, null, 1)}\n`],
    ...[...files].map(([path, text]): [string, string] => [`proc/${path}`, text]),
  ]
  for (const [path, text] of texts) {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), text, 'latin1')
  }
}

async function main(names: readonly string[]): Promise<void> {
  const obstacle = whyNotExact()
  if (obstacle !== undefined) throw new Error(`Cannot record: ${obstacle}`)
  const libc = await openLibc()
  for (const name of names.length > 0 ? names : Object.keys(scenarios)) await record(libc, name)
}

await main(process.argv.slice(2))
