// What the kernel says, in bytes: netlink, trace rings, BTF, and a whole sample made of mutated dumps.

import { readFileSync } from 'node:fs'
import { parseBtf } from '../../src/kernel/bpf/btf.ts'
import { writeBucketProgram } from '../../src/kernel/bpf/bucket-program.ts'
import { decodeConntrack } from '../../src/kernel/conntrack-answer.ts'
import { createConntrackDumpBatch } from '../../src/kernel/conntrack-channel.ts'
import { decodeDatagram } from '../../src/kernel/diag-answer.ts'
import { decodeInterfaceAddresses } from '../../src/kernel/interface-addresses.ts'
import { dumpDevices, dumpTunnelPorts } from '../../src/kernel/links.ts'
import { decodeGeneration, decodeRules } from '../../src/kernel/nft-answer.ts'
import { askPeerTimestamps } from '../../src/kernel/peer-timestamps.ts'
import { refusable } from '../../src/kernel/refused-call.ts'
import { decodeRingPage } from '../../src/kernel/trace-ring-page.ts'
import { createStep } from '../../src/model/step.ts'
import {
  createSocketBatch,
  type NatRule,
  type Protocol,
  type SocketBatch,
} from '../../src/observation.ts'
import type { NamespaceState } from '../../src/snapshot.ts'
import { currentFormat } from '../failures/formats.ts'
import { buildBtf, KIND, programTypes } from '../kernel/bpf/btf-builder.ts'
import { buildRingPage } from '../kernel/trace-ring-page-builder.ts'
import {
  be32,
  buildEntry,
  buildExpression,
  buildImmediate,
  buildRule,
  plainEntry,
} from '../support/kernel/conntrack-builder.ts'
import { createFakeChannel } from '../support/kernel/fake-channel.ts'
import {
  buildAttribute,
  buildDone,
  buildMessage,
  buildSocket,
  plainSocket,
} from '../support/kernel/netlink-builder.ts'
import { createReading, plainSettings, plainStepOptions } from '../support/kernel/readings.ts'
import { parseDatagram, type RecordedDump } from '../support/kernel/recording.ts'
import { scenarioNames } from '../support/kernel/scenario.ts'
import { demand, type Target } from './target.ts'

const SEQUENCE = 1
const SCENARIOS = new URL('../fixtures/scenarios/', import.meta.url)
const build = (...bytes: readonly (readonly number[])[]) => Uint8Array.from(bytes.flat())

function recordedDumps(): readonly Uint8Array[] {
  return scenarioNames.flatMap((name) => {
    const text = readFileSync(new URL(`${name}/netlink.json`, SCENARIOS), 'utf8')
    const dumps: readonly RecordedDump[] = JSON.parse(text)
    return dumps
      .flatMap(({ datagrams }) => datagrams.slice(0, 1))
      .map((lines) => new Uint8Array(parseDatagram(lines.slice(0, 30), SEQUENCE)))
  })
}

function decodeSockets(bytes: Uint8Array, protocol: Protocol, explicit: boolean): SocketBatch {
  const batch = createSocketBatch(Math.ceil(bytes.length / 88))
  batch.protocol = protocol
  batch.explicit = explicit
  decodeDatagram(bytes, SEQUENCE, batch)
  demand('rows', batch.length, bytes.length / 88)
  return batch
}

/** Numbers that a page would show; each must be one. */
function checkState({ pools, protocols, blockedPorts }: NamespaceState): readonly number[] {
  for (const { usedPorts } of protocols) demand('used ports', usedPorts, 65_535)
  demand('ports of listeners', blockedPorts.listener, 65_535)
  return pools.map((pool) => {
    const { capacityPorts, availablePorts, unusedPorts = 0, utilizationRatio, heldPorts } = pool
    demand('capacity', capacityPorts, 65_535)
    demand('available ports', availablePorts, capacityPorts)
    demand('unused ports', unusedPorts, availablePorts)
    if (!(utilizationRatio >= 0 && utilizationRatio <= 1)) {
      throw new RangeError(`the utilization is ${utilizationRatio}`)
    }
    const held = Object.values(heldPorts).reduce((sum, ports) => sum + ports, 0)
    if (held !== capacityPorts - availablePorts) throw new RangeError(`${held} ports are held`)
    return availablePorts
  })
}

const step = createStep({ ...plainStepOptions, owners: true })

const name = (text: string) => [...Buffer.from(`${text}\0`)]
const link = (index: number, ...attributes: readonly number[][]) =>
  buildMessage(16, SEQUENCE, [
    ...[0, 0, 1, 0, ...be32(index).reverse(), 0, 0, 0, 0, 0, 0, 0, 0],
    ...attributes.flat(),
  ])

const tunnel = (index: number, kind: string, data: readonly number[]) =>
  link(index, buildAttribute(18, [...buildAttribute(1, name(kind)), ...buildAttribute(2, data)]))
const tunnels = [
  tunnel(1, 'vxlan', buildAttribute(15, [0x9c, 0x41])),
  tunnel(2, 'geneve', buildAttribute(5, [0x9c, 0x42])),
  tunnel(3, 'bareudp', buildAttribute(1, [0x9c, 0x43])),
].map((message) => message.with(24, 1))

const address = (last: number, scope: number) =>
  buildMessage(20, SEQUENCE, [
    ...[2, 24, 0, scope, 2, 0, 0, 0],
    ...buildAttribute(1, [10, 0, 0, 99]),
    ...buildAttribute(2, [10, 0, 0, last]),
  ])
const LOCAL_HTTPS = { address: [0, 0, 0xffff, 0x7f00_0001], port: 443 }

const zones = { ...plainEntry, zone: 7, original: { ...plainEntry.original, zone: 9 } }
const natExpression = (kind: string, first: number, last: number) =>
  buildExpression(kind, buildAttribute(first, be32(1)), buildAttribute(last, be32(2)))
const LOCALHOST = [0, 0, 0xffff, 0x7f000001]

export const kernelTargets: readonly Target[] = [
  {
    name: 'sockets',
    seeds: recordedDumps,
    read: (bytes) => decodeSockets(bytes, 'tcp', false).length,
  },
  {
    name: 'sample',
    costly: true,
    seeds: () => recordedDumps().filter((_, index) => index % 5 === 0),
    read: (bytes) => {
      const batches = [
        decodeSockets(bytes, 'tcp', true),
        decodeSockets(bytes, 'udp', false),
        decodeSockets(bytes, 'tcp', false),
      ]
      const settings = { ...plainSettings, range: { first: 32_768, last: 60_999 }, tcpTwReuse: 2 }
      const nameOwners = () => () => undefined
      const context = { atSeconds: 100, unixSeconds: 1e9, nameOwners }
      const first = step(undefined, createReading(batches, settings), context)
      const later = { ...context, atSeconds: 105, unixSeconds: 1e9 + 5 }
      const { namespace } = step(first.state, createReading(batches, settings), later)
      return checkState(namespace)
    },
  },
  {
    name: 'conntrack',
    seeds: () => [
      build(buildEntry(plainEntry, SEQUENCE), buildEntry(zones, SEQUENCE), buildDone(SEQUENCE)),
      build(buildEntry({ ...plainEntry, protocol: 17, tcpState: undefined }, SEQUENCE)),
    ],
    read: (bytes) => {
      const batch = createConntrackDumpBatch()
      decodeConntrack(bytes, SEQUENCE, batch)
      return demand('entries', batch.length, bytes.length / 100)
    },
  },
  {
    name: 'nftables',
    seeds: () => [
      build(
        buildRule(
          SEQUENCE,
          buildImmediate(1, [0x9c, 0x40]),
          buildImmediate(2, [0x9c, 0xa3]),
          natExpression('masq', 2, 3),
        ),
        buildRule(SEQUENCE, natExpression('nat', 1, 3)),
        buildDone(SEQUENCE),
      ),
    ],
    read: (bytes) => {
      const rules: (NatRule | undefined)[] = []
      decodeRules(bytes, SEQUENCE, (rule) => rules.push(rule))
      decodeGeneration(bytes, SEQUENCE, () => {})
      return rules.length
    },
  },
  {
    name: 'links',
    seeds: () => [
      build(
        link(1, buildAttribute(3, name('lo'))),
        link(2, buildAttribute(3, name('eth1')), buildAttribute(10, [4, 0, 0, 0])),
        link(4, buildAttribute(3, name('red')), buildAttribute(18, buildAttribute(1, name('vrf')))),
        buildDone(SEQUENCE),
      ),
    ],
    read: (bytes) =>
      dumpDevices(() => createFakeChannel(() => [bytes, build(buildDone(1))]), [2, 4]).size,
  },
  {
    name: 'tunnels',
    seeds: () => [build(...tunnels, buildDone(SEQUENCE)), build(tunnels[0] ?? [])],
    read: (bytes) => {
      const answers = () => createFakeChannel(() => [bytes, build(buildDone(SEQUENCE))])
      const ports = dumpTunnelPorts(answers)
      for (const port of ports) demand('port', port, 65_535)
      return ports.size
    },
  },
  {
    name: 'addresses',
    seeds: () => [
      build(address(1, 0), address(2, 254), address(3, 0), buildDone(SEQUENCE)),
      build(address(1, 0)),
    ],
    read: (bytes) => {
      const addresses: number[] = []
      decodeInterfaceAddresses(bytes, SEQUENCE, addresses)
      for (const one of addresses) demand('address', one, 2 ** 32 - 1)
      return addresses.length
    },
  },
  {
    name: 'timestamps',
    seeds: () => {
      const [told, denied] = [true, false].map((timestamps) =>
        buildSocket({ ...plainSocket, timestamps }, SEQUENCE),
      )
      const silent = buildSocket(plainSocket, SEQUENCE)
      return [build(told ?? [], denied ?? [], silent, buildDone(SEQUENCE)), build(told ?? [])]
    },
    read: (bytes) => {
      const channel = createFakeChannel(() => [bytes, build(buildDone(SEQUENCE))])
      const ask = () => askPeerTimestamps(channel, plainSettings.range, LOCAL_HTTPS)
      const told = String(refusable('Cannot read timestamps', ask))
      return [told, ...decodeSockets(bytes, 'tcp', false).flags.subarray(0, 3)]
    },
  },
  {
    name: 'trace-ring',
    seeds: () => [
      buildRingPage(
        [
          { kind: 'failure', pid: 7, remotePort: 443, local: LOCALHOST, remote: LOCALHOST },
          { kind: 'time' },
          { kind: 'stranger', words: 9 },
          { kind: 'discarded', words: 4 },
          { kind: 'failure', pid: 9, remotePort: 80, local: [1, 2, 3, 4], remote: LOCALHOST },
        ],
        currentFormat,
      ),
    ],
    read: (bytes) => {
      const { records, strangers } = decodeRingPage(bytes, currentFormat)
      for (const { remotePort } of records) demand('port', remotePort, 65_535)
      return [records.length, strangers]
    },
  },
  {
    name: 'btf',
    seeds: () => [
      buildBtf(programTypes),
      buildBtf([
        { name: 'int', kind: KIND.int, tail: 4 },
        { name: '', kind: KIND.pointer },
        {
          name: 'outer',
          kind: KIND.struct,
          members: [
            { name: 'first', type: 1, bits: 0 },
            { name: '', type: 4, bits: 32 },
          ],
        },
        { name: '', kind: KIND.union, members: [{ name: 'deep', type: 3, bits: 0 }] },
        { name: 'walk', kind: KIND.func },
      ]),
    ],
    read: (bytes) => {
      const { fieldOffset, functionId } = parseBtf(bytes)
      const found = [fieldOffset('outer', 'deep'), functionId('walk')]
      writeBucketProgram(bytes)
      return found.join()
    },
  },
]
