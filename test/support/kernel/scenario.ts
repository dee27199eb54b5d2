// Recorded scenarios: test/fixtures/scenarios/<name> -> the readings that the sources would have given at that moment.

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Capabilities } from '../../../src/kernel/capabilities.ts'
import { createDumpBatch, dumpSockets } from '../../../src/kernel/diag-channel.ts'
import { readActiveOpens } from '../../../src/kernel/proc-snmp.ts'
import { readNetSettings } from '../../../src/kernel/sysctl.ts'
import type { NamespaceReading, NetSettings, SocketBatch } from '../../../src/observation.ts'
import type { SocketPoolName } from '../../../src/snapshot.ts'
import { planDumps } from '../../../src/sources/netlink.ts'
import { createProcfsSource } from '../../../src/sources/procfs.ts'
import { createFakeChannel, sequenceOf } from './fake-channel.ts'
import { createReading } from './readings.ts'
import { parseDatagram, type RecordedDump } from './recording.ts'

/** How many allocations the kernel granted, right after the recording, until it refused. */
export type Granted = Readonly<Record<SocketPoolName, number>>

/** scenario.json */
export interface ScenarioFile {
  readonly description: string
  readonly kernel: string
  readonly arch: string
  readonly capabilities: Capabilities
  /** The most that the timers of one reader can be ahead of the other's. */
  readonly lookMs: number
  readonly granted?: Granted
}

export interface Scenario extends ScenarioFile {
  readonly name: string
  readonly settings: NetSettings
  /** Anew each time: batches are consumed once. */
  readNetlink(): NamespaceReading
  readProcfs(): NamespaceReading
}

const DIRECTORY = fileURLToPath(new URL('../../fixtures/scenarios/', import.meta.url))

export const scenarioNames: readonly string[] = readdirSync(DIRECTORY).sort()

export function openScenario(name: string): Scenario {
  const file: ScenarioFile = JSON.parse(readFileSync(`${DIRECTORY}${name}/scenario.json`, 'utf8'))
  const dumps: readonly RecordedDump[] = JSON.parse(
    readFileSync(`${DIRECTORY}${name}/netlink.json`, 'utf8'),
  )
  const procfs = `${DIRECTORY}${name}/proc`
  const settings = readNetSettings(`${procfs}/sys`)
  return {
    ...file,
    name,
    settings,
    readNetlink: () => ({
      ...createReading(replay(dumps, file.capabilities, settings), settings),
      activeOpens: readActiveOpens(`${procfs}/net/snmp`),
    }),
    readProcfs: () => createProcfsSource({ procfs }).read(),
  }
}

/** Asks the recording what the source would ask the kernel; a question that was not recorded is an error. */
function* replay(
  dumps: readonly RecordedDump[],
  capabilities: Capabilities,
  { range, ipv6 }: NetSettings,
): Generator<SocketBatch, void, void> {
  for (const { question, ...asked } of planDumps(capabilities, ipv6)) {
    const { choice } = asked
    const dump = dumps.find(
      (recorded) =>
        recorded.choice === choice &&
        JSON.stringify(recorded.question) === JSON.stringify(question),
    )
    if (dump === undefined) {
      throw new Error(`Not recorded: ${JSON.stringify(question)}, ${choice}`)
    }
    const channel = createFakeChannel((request) =>
      dump.datagrams.map((lines) => parseDatagram(lines, sequenceOf(request))),
    )
    yield* dumpSockets(channel, question, { range, ...asked }, createDumpBatch())
  }
}
