// The netlink dumps against a kernel with thousands of sockets: rows received equal rows in range. A filter that is joined
// wrongly sends everything, and nothing else would notice.

import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { type Capabilities, probeCapabilities } from '../../src/kernel/capabilities.ts'
import { encodeDumpRequest, encodeFilter } from '../../src/kernel/diag-request.ts'
import { type Libc, openLibc } from '../../src/kernel/libc.ts'
import type { PortRange } from '../../src/observation.ts'
import { planDumps } from '../../src/sources/netlink.ts'
import {
  buildRequest,
  countStrays,
  nameDump,
  type Survey,
  surveyDump,
} from '../support/kernel/diag-survey.ts'
import { withNetns } from '../support/netns/actor.ts'
import { CROWD_RANGE, crowdAuto, crowdExplicit, openCrowd } from '../support/netns/crowd.ts'
import { inNetnsOf } from '../support/netns/in-netns.ts'
import { whyNotExact } from '../support/netns/live.ts'
import type { UnprivilegedAnswer } from './unprivileged-reader.ts'

const skipReason = whyNotExact()
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const everything: Capabilities = {
  legacyWalk: true,
  boundIdle: true,
  portChoice: true,
  udpDiag: true,
  cgroupId: true,
}

interface Dump extends Survey {
  /** For example `tcp inet auto`, or `tcp legacy auto not bound` where sockets that are only bound are not asked for. */
  readonly name: string
}

interface Findings {
  /** Asked for without any filter, by protocol and family. */
  readonly everything: Readonly<Record<'tcp inet' | 'tcp inet6' | 'udp inet' | 'udp inet6', Survey>>
  readonly dumps: ReadonlyMap<string, Dump>
  readonly misjoined: Survey
  readonly probe: ProbeFindings
  readonly unprivileged: UnprivilegedAnswer
}

interface ProbeFindings {
  readonly capabilities: Capabilities
  readonly boundPorts: readonly number[]
  readonly descriptorsLeft: number
  readonly before: readonly string[]
  readonly after: readonly string[]
}

// One crowd serves all tests, and everything is read from it in one go.
let found: Promise<Findings> | undefined

function findings(): Promise<Findings> {
  found ??= withNetns(async (netns) => {
    await openCrowd(netns)
    const libc = await openLibc()
    return inNetnsOf(libc, netns.pid, () => survey(libc))
  })
  return found
}

function survey(libc: Libc): Findings {
  const all = (family: 'inet' | 'inet6', protocol: 'tcp' | 'udp') =>
    surveyDump(libc, buildRequest(family, protocol), protocol)
  return {
    everything: {
      'tcp inet': all('inet', 'tcp'),
      'tcp inet6': all('inet6', 'tcp'),
      'udp inet': all('inet', 'udp'),
      'udp inet6': all('inet6', 'udp'),
    },
    dumps: surveyPlans(libc),
    misjoined: surveyDump(libc, buildRequest('inet', 'tcp', joinWrongly(CROWD_RANGE)), 'tcp'),
    probe: surveyProbe(libc, CROWD_RANGE),
    unprivileged: readUnprivileged(),
  }
}

function surveyPlans(libc: Libc): ReadonlyMap<string, Dump> {
  const plans = [true, false].flatMap((boundIdle) => [
    { ...everything, boundIdle },
    { ...everything, boundIdle, legacyWalk: false },
  ])
  const dumps = plans.flatMap((capabilities) => planDumps(capabilities, true))
  return new Map(
    dumps.map((dump) => {
      const { question, ...asked } = dump
      const request = encodeDumpRequest(question, { range: CROWD_RANGE, ...asked }, 7)
      const protocol = question.kind === 'legacy' ? 'tcp' : question.protocol
      const name = nameDump(dump)
      return [name, { name, ...surveyDump(libc, request, protocol) }]
    }),
  )
}

/** AUTO put behind the program of the range, whose rejection now lands on the end of it all: that accepts. */
function joinWrongly(range: PortRange): number[] {
  const inRange = encodeFilter(range, 'any')
  return [...inRange, ...encodeFilter(range, 'auto').subarray(inRange.length)]
}

function surveyProbe(libc: Libc, range: PortRange): ProbeFindings {
  const boundPorts: number[] = []
  const watched: Libc = {
    ...libc,
    bind: (fd, address) => {
      libc.bind(fd, address)
      boundPorts.push(((address[2] ?? 0) << 8) | (address[3] ?? 0))
    },
  }
  const listSockets = () =>
    (['inet', 'inet6'] as const).flatMap((family) =>
      (['tcp', 'udp'] as const).flatMap(
        (protocol) => surveyDump(libc, buildRequest(family, protocol), protocol).rows,
      ),
    )
  const countDescriptors = () => readdirSync('/proc/self/fd').length
  const before = listSockets()
  const descriptors = countDescriptors()
  const capabilities = probeCapabilities(watched, range)
  const descriptorsLeft = countDescriptors() - descriptors
  return { capabilities, boundPorts, descriptorsLeft, before, after: listSockets() }
}

/** A child begins in the namespace of the thread that makes it. */
function readUnprivileged(): UnprivilegedAnswer {
  const child = spawnSync(
    process.execPath,
    ['--import', 'tsx', 'test/live/unprivileged-reader.ts'],
    { cwd: ROOT, encoding: 'utf8', timeout: 300_000, maxBuffer: 64 * 1024 * 1024 },
  )
  if (child.status !== 0) throw new Error(`The child failed: ${child.stderr}`)
  return JSON.parse(child.stdout)
}

function dumpOf({ dumps }: Findings, name: string): Dump {
  const dump = dumps.get(name)
  if (dump === undefined) throw new Error(`No dump ${name}; there are ${[...dumps.keys()]}`)
  return dump
}

const inRange = (rows: readonly string[]) =>
  rows.filter((row) => {
    const port = Number(/:(\d+) > /.exec(row)?.[1])
    return port >= CROWD_RANGE.first && port <= CROWD_RANGE.last
  })
const sorted = (...rows: (readonly string[])[]) => rows.flat().sort()

describe('the dumps of a namespace with thousands of sockets', () => {
  test('without a filter most sockets lie outside of the range', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const { everything } = await findings()
    for (const [name, dump] of Object.entries(everything)) {
      expect(inRange(dump.rows).length, name).toBeGreaterThan(100)
      expect(countStrays(dump, CROWD_RANGE), name).toBeGreaterThan(50)
    }
    expect(everything['tcp inet'].datagrams).toBeGreaterThan(10)
  })

  const tcpChoices = [
    ...['auto', 'explicit'],
    ...['explicit listen', 'explicit_or_idle', 'auto not bound'],
  ]
  const names = [
    ...['legacy', 'inet', 'inet6'].flatMap((walk) => tcpChoices.map((one) => `tcp ${walk} ${one}`)),
    'udp inet auto',
    'udp inet explicit',
    'udp inet6 auto',
    'udp inet6 explicit',
  ]

  test.for(names)('%s: no row outside of the range is received', async (name, context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const dump = dumpOf(await findings(), name)
    expect(dump.ports.length).toBeGreaterThan(0)
    expect(countStrays(dump, CROWD_RANGE)).toBe(0)
    expect(dump.rows).toHaveLength(dump.ports.length)
  })

  test('these are all dumps that the source may plan', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    expect([...(await findings()).dumps.keys()].sort()).toEqual([...names].sort())
  })

  test.for(['tcp inet', 'tcp inet6', 'udp inet', 'udp inet6'] as const)(
    '%s: AUTO and NOT AUTO are disjoint and complete',
    async (name, context) => {
      if (skipReason !== undefined) return context.skip(skipReason)
      const all = await findings()
      const [auto, explicit] = [dumpOf(all, `${name} auto`), dumpOf(all, `${name} explicit`)]
      expect(sorted(auto.rows, explicit.rows)).toEqual(inRange(all.everything[name].rows))
      expect(auto.rows.filter((row) => explicit.rows.includes(row))).toEqual([])
    },
  )

  test.for(['tcp inet', 'tcp inet6'] as const)(
    '%s: idle sockets asked for once, and AUTO connections, are disjoint and complete',
    async (name, context) => {
      if (skipReason !== undefined) return context.skip(skipReason)
      const all = await findings()
      const first = dumpOf(all, `${name} explicit_or_idle`)
      const listen = dumpOf(all, `${name} explicit listen`)
      const auto = dumpOf(all, `${name} auto not bound`)
      const rows = [...first.rows, ...listen.rows]
      expect(sorted(auto.rows, rows)).toEqual(inRange(all.everything[name].rows))
      expect(auto.rows.filter((row) => rows.includes(row))).toEqual([])
      expect(listen.rows.every((row) => row.includes(' listen '))).toBe(true)
      const connected = ({ rows }: Dump) => rows.filter((row) => !/ (listen|bound) /.test(row))
      expect(connected(first)).toEqual(connected(dumpOf(all, `${name} explicit`)))
    },
  )

  test.for(tcpChoices)(
    'the one walk gives what the two families give, %s',
    async (choice, context) => {
      if (skipReason !== undefined) return context.skip(skipReason)
      const all = await findings()
      const both = ['inet', 'inet6'].map((family) => dumpOf(all, `tcp ${family} ${choice}`).rows)
      expect(dumpOf(all, `tcp legacy ${choice}`).rows).toEqual(sorted(...both))
    },
  )

  test('NOT AUTO lists the ports that the application chose, AUTO all others', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const all = await findings()
    const portsOf = (name: string) => dumpOf(all, name).ports.toSorted((a, b) => a - b)
    expect(portsOf('tcp legacy explicit')).toEqual(crowdExplicit.tcp)
    expect(portsOf('udp inet explicit')).toEqual(crowdExplicit.udp4)
    expect(portsOf('udp inet6 explicit')).toEqual(crowdExplicit.udp6)
    expect(portsOf('tcp legacy auto')).toHaveLength(crowdAuto.tcp)
    expect(portsOf('udp inet auto')).toHaveLength(crowdAuto.udp4)
    expect(portsOf('udp inet6 auto')).toHaveLength(crowdAuto.udp6)
  })

  test('a wrongly joined filter does not pass the test of strays', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const { misjoined, everything } = await findings()
    const strays = countStrays(misjoined, CROWD_RANGE)
    // Every single socket outside of the range.
    expect(strays).toBe(countStrays(everything['tcp inet'], CROWD_RANGE))
    expect(strays).toBeGreaterThan(1000)
  })

  test('without any right the kernel tells the same', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const all = await findings()
    const { uid, rights, capabilities, rows } = all.unprivileged
    expect(uid).toBe(65_534)
    expect(rights.map((set) => Number.parseInt(set, 16))).toEqual([0, 0, 0])
    expect(capabilities).toEqual(everything)
    const privileged = planDumps(everything, true).map((dump) => dumpOf(all, nameDump(dump)).rows)
    expect(rows).toEqual(privileged)
  })
})

describe('probeCapabilities() on this kernel', () => {
  test('finds everything, takes no port of the range and leaves nothing behind', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const { probe } = await findings()
    expect(probe.capabilities).toEqual(everything)
    expect(probe.boundPorts).toHaveLength(2)
    for (const port of probe.boundPorts) {
      expect(port < CROWD_RANGE.first || port > CROWD_RANGE.last, `port ${port}`).toBe(true)
    }
    expect(probe.descriptorsLeft).toBe(0)
    expect(probe.after).toEqual(probe.before)
  })

  test.for([
    { name: 'when every port of the range is taken', first: 40_000, last: 40_009 },
    { name: 'when the range leaves only three ports', first: 1024, last: 65_532 },
    { name: 'when the range leaves no port', first: 1024, last: 65_535 },
  ])('works $name', async ({ first, last }, context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    await withNetns(async (netns) => {
      const range = { first, last }
      await netns.call('setSysctls', { 'net.ipv4.ip_local_port_range': `${first} ${last}` })
      for (const protocol of ['tcp', 'udp'] as const) {
        const bind = { address: '0.0.0.0', port: 0 }
        const { sockets } = await netns.call('open', { protocol, bind, count: 11 })
        expect(sockets).toHaveLength(Math.min(11, last - first + 1))
      }
      const libc = await openLibc()
      const probe = inNetnsOf(libc, netns.pid, () => surveyProbe(libc, range))
      expect(probe.capabilities).toEqual(everything)
      expect(probe.descriptorsLeft).toBe(0)
      expect(probe.after).toEqual(probe.before)
      const taken = probe.boundPorts.filter((port) => port >= first && port <= last)
      expect(taken).toHaveLength(last === 65_535 ? 2 : 0)
    })
  })
})
