// Two readers, one truth: of each recorded moment the netlink dumps and the /proc files decode to the same sockets, but for
// what /proc does not show. Each decoder is the other's oracle.

import { describe, expect, test } from 'vitest'
import { FLAG, type SocketBatch, STATE, socketStates } from '../src/observation.ts'
import { describeRows } from './kernel/rows.ts'
import { openScenario, scenarioNames } from './support/kernel/scenario.ts'

interface Row {
  /** Protocol, state and both ends. */
  readonly identity: string
  readonly protocol: string
  readonly state: number
  readonly minisock: boolean
  readonly ipv6Only: boolean
  readonly wildcard: boolean
  readonly expiresMs: number
  readonly uid: number
  readonly device: number
  readonly explicit: boolean
  readonly cgroupId: number
}

/** /proc counts in ticks of 10 ms; the kernel's own clock may tick as slowly. */
const ROUNDING_MS = 20

function listRows(batches: Iterable<SocketBatch>): Row[] {
  const rows: Row[] = []
  for (const batch of batches) {
    const described = describeRows([batch])
    for (let row = 0; row < batch.length; row++) {
      const flags = batch.flags[row] ?? 0
      const [protocol = '', state = '', local = '', , remote = ''] = (described[row] ?? '').split(
        ' ',
      )
      rows.push({
        identity: `${protocol} ${state} ${local} > ${remote}`,
        protocol,
        state: batch.state[row] ?? STATE.unknown,
        minisock: (flags & FLAG.minisock) !== 0,
        ipv6Only: (flags & FLAG.ipv6Only) !== 0,
        wildcard: local.startsWith('[::]:'),
        expiresMs: batch.expiresMs[row] ?? 0,
        uid: batch.uid[row] ?? 0,
        device: batch.device[row] ?? 0,
        explicit: batch.explicit,
        cgroupId: batch.cgroupId[row] ?? 0,
      })
    }
  }
  return rows.sort((a, b) => compare(a.identity, b.identity) || a.uid - b.uid)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

/** TCP sockets that hold a port and nothing else: /proc/net/tcp walks listeners and connections only. */
const isHidden = (row: Row) => row.protocol === 'tcp' && row.state === STATE.bound

/**
 * What both must say alike. The owner of a half-open request is the exception: netlink says 0 (inet_req_diag_fill() in
 * net/ipv4/inet_diag.c), /proc that of the listener (get_openreq4() in net/ipv4/tcp_ipv4.c).
 */
function sharedPart(row: Row) {
  const { identity, minisock, uid, state } = row
  return { identity, minisock, uid: state === STATE.synRecv ? 'differs' : uid }
}

describe.for(scenarioNames)('%s', (name) => {
  const scenario = openScenario(name)
  const netlink = listRows(scenario.readNetlink().batches)
  const procfs = listRows(scenario.readProcfs().batches)
  const visible = netlink.filter((row) => !isHidden(row))

  test('both readers list the same sockets, but for those that are only bound', () => {
    expect(procfs.map(sharedPart)).toEqual(visible.map(sharedPart))
  })

  test('/proc knows neither bound sockets, nor who chose a port, nor device and cgroup', () => {
    expect(procfs.filter(isHidden)).toEqual([])
    for (const row of procfs) expect(row).toMatchObject({ explicit: false, device: 0, cgroupId: 0 })
  })

  test('both tell when a minisock ends', () => {
    for (const [index, row] of visible.entries()) {
      const other = procfs[index]
      if (row.minisock) {
        const aheadMs = row.expiresMs - (other?.expiresMs ?? 0)
        expect(aheadMs, row.identity).toBeGreaterThanOrEqual(-ROUNDING_MS)
        expect(aheadMs, row.identity).toBeLessThanOrEqual(scenario.lookMs + ROUNDING_MS)
        expect(row.expiresMs, row.identity).toBeGreaterThan(0)
      } else expect([row.expiresMs, other?.expiresMs], row.identity).toEqual([0, 0])
    }
  })

  test('IPV6_V6ONLY is the same, but /proc does not tell it of the wildcard ::', () => {
    for (const [index, row] of visible.entries()) {
      expect(procfs[index]?.ipv6Only, row.identity).toBe(row.ipv6Only && !row.wildcard)
    }
  })

  test('minisocks and half-open requests have no owner in netlink', () => {
    for (const row of netlink) {
      if (row.minisock || row.state === STATE.synRecv) expect(row).toMatchObject({ uid: 0 })
    }
  })
})

describe('the scenarios hold what makes the comparison worth something', () => {
  const all = scenarioNames.map((name) => {
    const scenario = openScenario(name)
    return {
      name,
      netlink: listRows(scenario.readNetlink().batches),
      procfs: listRows(scenario.readProcfs().batches),
    }
  })
  const netlink = all.flatMap((scenario) => scenario.netlink)
  const procfs = all.flatMap((scenario) => scenario.procfs)
  const hiddenOf = (name: string) =>
    all.find((scenario) => scenario.name === name)?.netlink.filter(isHidden) ?? []

  test('every state but CLOSING, which takes packets lost at the right moment', () => {
    const seen = new Set(netlink.map((row) => socketStates[row.state]))
    const missing = socketStates.filter((state) => !seen.has(state))
    // No socket is in CLOSE in a TCP dump: that number stands for bound.
    expect(missing).toEqual(['unknown', 'close', 'closing'])
  })

  test('sockets that /proc hides: bound by the kernel, by the application, and v6', () => {
    expect(hiddenOf('bound-idle-leak')).toHaveLength(60)
    expect(hiddenOf('explicit-bind').map((row) => row.identity)).toEqual([
      'tcp bound 0.0.0.0:40005 > 0.0.0.0:0',
      'tcp bound 127.0.0.33:40003 > 0.0.0.0:0',
      'tcp bound 127.0.0.4:40012 > [::]:0',
    ])
    expect(hiddenOf('dual-stack').map((row) => row.ipv6Only)).toEqual(
      expect.arrayContaining([true, false]),
    )
    expect(hiddenOf('dual-stack')).toHaveLength(4)
  })

  test('owners other than root, half-open requests of theirs, and wildcards of IPv6 alone', () => {
    const halfOpen = (rows: readonly Row[]) => rows.filter((row) => row.state === STATE.synRecv)
    expect(halfOpen(netlink).map((row) => row.uid)).toEqual([0, 0])
    expect(halfOpen(procfs).map((row) => row.uid)).toEqual([1000, 1000])
    expect(netlink.some((row) => row.uid === 1000 && row.state === STATE.finWait1)).toBe(true)
    const onlyIpv6 = netlink.filter((row) => row.ipv6Only && row.wildcard && !isHidden(row))
    expect(new Set(onlyIpv6.map((row) => row.protocol))).toEqual(new Set(['tcp', 'udp']))
  })

  test('device-bound sockets, minisocks in FIN_WAIT2, cgroups', () => {
    expect(new Set(netlink.map((row) => row.device))).toEqual(new Set([0, 1, 3]))
    expect(netlink.filter((row) => row.minisock && row.state === STATE.finWait2)).toHaveLength(3)
    expect(netlink.some((row) => row.cgroupId > 0)).toBe(true)
  })
})
