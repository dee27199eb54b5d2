// How many series a node has: the most that quiet namespaces and a host in full can put on the page.

import { expect, test } from 'vitest'
import { createPageRenderer } from '../../src/metrics/page.ts'
import type { AllocationFailures, Namespace, NamespaceState, Snapshot } from '../../src/snapshot.ts'
import { buildNamespace } from '../support/netns/namespace.ts'
import { sampleBuild, sampleSnapshot, sampleState } from '../support/render/sample-snapshot.ts'

const QUIET = 100
/** The default of --top. */
const TOP = 10
/** Of pairs of destination and owner; one more is `other`. */
const MOST_FAILED_PAIRS = 50

const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index))

/** With a value for everything that any namespace can have one for, and all rows that the caps leave. */
const fullState: NamespaceState = {
  ...sampleState,
  protocols: (['tcp', 'udp'] as const).map((protocol) => ({
    protocol,
    usedPorts: 900,
    sockets: { established: 700, time_wait: 100, bound: 50, connected: 50 },
    inboundSockets: 4,
    listeners: 12,
  })),
  pools: sampleState.pools.map((pool) => ({
    ...pool,
    reclaimablePorts: 5,
    slow: false,
    riskRatio: 0.1,
    etaSeconds: 3600,
    worstDestination: { source: '10.0.0.5', destination: '10.0.1.0:443' },
  })),
  destinations: {
    count: 5000,
    rows: times(TOP, (index) => ({
      source: '10.0.0.5',
      destination: `10.0.1.${index}:443`,
      usedPorts: 80,
      timeWaitPorts: 8,
      utilizationRatio: 0.1,
    })),
    other: { usedPorts: 100, timeWaitPorts: 20 },
  },
  listeners: times(TOP, (port) => ({ protocol: 'tcp', port: 40_000 + port, owner: 'a.service' })),
  owners: (['tcp', 'udp'] as const).flatMap((protocol) => [
    ...times(TOP, (index) => ({
      protocol,
      owner: `${index}.service`,
      ownerKind: 'unit' as const,
      usedPorts: 80,
    })),
    ...(['other', 'none', 'unknown'] as const).map((owner) => ({
      protocol,
      owner,
      ownerKind: owner,
      usedPorts: 1,
    })),
  ]),
}

const allocationFailures: AllocationFailures = {
  pools: [{ pool: 'tcp_connect', total: 900 }],
  destinations: [
    ...times(MOST_FAILED_PAIRS, (index) => ({
      destination: `10.0.1.${index}:443`,
      owner: 'a.service',
      total: 10,
    })),
    { destination: 'other', owner: 'other', total: 400 },
  ],
}

const full: Partial<Namespace> = {
  state: fullState,
  allocationFailures,
  probes: (['tcp_bind', 'udp'] as const).map((pool) => ({
    pool,
    success: true,
    durationSeconds: 0.00002,
  })),
}

const pods = times(QUIET, (index) =>
  buildNamespace({
    ...full,
    netns: `pod/shop/cart-${index}`,
    netnsKind: 'pod',
    pod: { namespace: 'shop', name: `cart-${index}` },
    detailed: false,
  }),
)

const node: Snapshot = {
  ...sampleSnapshot,
  namespaces: [buildNamespace(full), ...pods],
  unattributedFailures: allocationFailures,
  collectors: ['sockets', 'owners', 'kubernetes', 'failures', 'probe'].map((collector) => ({
    collector,
    success: true,
    durationSeconds: 0.01,
  })),
}

async function listSeries(snapshot: Snapshot): Promise<readonly string[]> {
  const { render } = createPageRenderer({ build: sampleBuild, includeProcessMetrics: true })
  const { body } = await render(snapshot, 'text')
  return body
    .toString()
    .split('\n')
    .filter((line) => /^[a-z]/.test(line))
}

test('a quiet namespace has at most 30 series, whatever is known of it', async () => {
  const series = await listSeries(node)
  for (const { netns } of pods) {
    expect(series.filter((line) => line.includes(`netns="${netns}"`))).toHaveLength(30)
  }
})

test('a node with 100 quiet pods has at most 4,000 series, with a busy host and failures', async () => {
  const series = await listSeries(node)
  expect(series.filter((line) => line.includes('netns="host"')).length).toBeGreaterThan(150)
  expect(series.filter((line) => line.includes('netns="unknown"')).length).toBe(
    1 + MOST_FAILED_PAIRS + 1,
  )
  expect(series.length).toBeLessThanOrEqual(4000)
})
