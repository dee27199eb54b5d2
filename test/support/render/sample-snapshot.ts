// A hand-built Snapshot in which every family has a sample, and what is not known is undefined.

import { countNoReadErrors } from '../../../src/observation.ts'
import type { Build, NamespaceState, NatState, Snapshot } from '../../../src/snapshot.ts'
import { buildNamespace, noneHeld } from '../netns/namespace.ts'
import { buildPool, buildSettings, buildSnapshot, buildState, buildUse } from './cli-snapshot.ts'

export const sampleBuild: Build = {
  version: '0.1.0',
  revision: 'abc1234',
  nodeVersion: 'v20.20.2',
  platform: 'linux',
  arch: 'x64',
}

const connectPool = buildPool({
  pool: 'tcp_connect',
  capacityPorts: 28_221,
  availablePorts: 7_057,
  unusedPorts: 6_000,
  uncertainPorts: 40,
  utilizationRatio: 0.75,
  utilizationPeakRatio: 0.8,
  reclaimablePorts: 12,
  slow: true,
  riskRatio: 0.625,
  etaSeconds: 412.5,
  worstDestination: { source: '10.0.0.5', destination: '10.0.0.9:443' },
  heldPorts: { ...noneHeld, established: 19_161, time_wait: 2_000, listener: 1, bound: 2 },
  cause: {
    cause: 'many_connections',
    ports: 19_161,
    owners: [{ owner: 'checkout', ownerKind: 'container', ports: 18_000 }],
  },
})

const bindPool = buildPool({
  pool: 'tcp_bind',
  capacityPorts: 28_221,
  availablePorts: 6_000,
  utilizationRatio: 0.5,
  utilizationPeakRatio: 0.5,
  riskRatio: 0,
  heldPorts: { ...noneHeld, established: 22_221 },
  cause: { cause: 'many_connections', ports: 22_221, owners: [] },
})

const natPool = buildPool({
  pool: 'nat_tcp',
  capacityPorts: 1000,
  availablePorts: 15,
  unusedPorts: 10,
  utilizationRatio: 0.985,
  utilizationPeakRatio: 0.99,
  reclaimablePorts: 5,
  riskRatio: 0.9375,
  etaSeconds: 45,
  worstDestination: { source: '203.0.113.7', destination: '198.51.100.9:443' },
  heldPorts: { ...noneHeld, established: 985 },
  cause: {
    cause: 'nat_connections',
    ports: 985,
    owners: [{ owner: 'shop/crawler-5f8', ownerKind: 'pod', ports: 950 }],
  },
})

const natState: NatState = {
  readAtSeconds: 1_764_000_000.25,
  evicts: true,
  pools: [natPool, buildPool({ pool: 'nat_udp', capacityPorts: 1000, riskRatio: 0 })],
  failureProbabilities: [
    { pool: 'nat_tcp', ratio: 0.03125 },
    { pool: 'nat_udp', ratio: 0 },
  ],
  destinations: [
    {
      protocol: 'tcp',
      source: '203.0.113.7',
      destination: '198.51.100.9:443',
      usedPorts: 990,
    },
    { protocol: 'tcp', source: 'other', destination: 'other', usedPorts: 12 },
  ],
  clients: [
    {
      protocol: 'tcp',
      client: '10.244.1.7',
      owner: 'shop/crawler-5f8',
      ownerKind: 'pod',
      usedPorts: 950,
    },
    {
      protocol: 'tcp',
      client: 'other',
      owner: 'other',
      ownerKind: 'other',
      usedPorts: 52,
    },
  ],
  ranges: [
    { protocol: 'tcp', source: '203.0.113.7', firstPort: 40_000, lastPort: 40_999, origin: 'rule' },
    { protocol: 'udp', source: '203.0.113.7', firstPort: 40_000, lastPort: 40_999, origin: 'rule' },
  ],
  truncated: {
    ephemeral_port_nat_destination_used_ports: 4,
    ephemeral_port_nat_client_used_ports: 9,
  },
}

export const sampleState = buildState({
  readAtSeconds: 1_764_000_000.25,
  settings: buildSettings({
    reservedPorts: 11,
    reservedRanges: [{ first: 40_000, last: 40_010 }],
    reservedRangesLeftOut: 0,
    tcpMaxTwBuckets: 65_536,
    autobindReuse: 0,
    portStepWidth: 1,
  }),
  protocols: [
    buildUse({
      usedPorts: 22_221,
      sockets: { established: 20_000, time_wait: 2_500, bound: 1, close_wait: 0 },
      inboundSockets: 4,
      listeners: 1,
    }),
    buildUse({
      protocol: 'udp',
      usedPorts: 3,
      sockets: { bound: 2, connected: 1 },
      listeners: undefined,
    }),
  ],
  blockedPorts: { listener: 1, bound: 2 },
  pools: [
    connectPool,
    bindPool,
    {
      ...bindPool,
      pool: 'udp',
      availablePorts: 28_218,
      utilizationRatio: 0.25,
      riskRatio: undefined,
      heldPorts: { ...noneHeld, bound: 2, established: 1 },
      cause: undefined,
    },
  ],
  destinations: {
    count: 14,
    rows: [
      {
        source: '10.0.0.5',
        destination: '10.0.0.9:443',
        usedPorts: 21_161,
        timeWaitPorts: 2_000,
        utilizationRatio: 0.75,
      },
      {
        source: 'fd00::5%3',
        destination: '[fd00::9]:5432',
        usedPorts: 900,
        timeWaitPorts: 400,
        utilizationRatio: 0.125,
      },
    ],
    other: { usedPorts: 160, timeWaitPorts: 100 },
  },
  listeners: [{ protocol: 'tcp', port: 50_051, owner: 'checkout' }],
  owners: [
    { protocol: 'tcp', owner: 'checkout', ownerKind: 'container', usedPorts: 20_000 },
    { protocol: 'tcp', owner: 'backup.service', ownerKind: 'unit', usedPorts: 0 },
    { protocol: 'tcp', owner: 'other', ownerKind: 'other', usedPorts: 1_200 },
    { protocol: 'tcp', owner: 'none', ownerKind: 'none', usedPorts: 1_000 },
    { protocol: 'tcp', owner: 'unknown', ownerKind: 'unknown', usedPorts: 21 },
    { protocol: 'udp', owner: 'systemd-resolved.service', ownerKind: 'unit', usedPorts: 3 },
  ],
  timeWaitRelease: [
    { withinSeconds: 1, ports: 40 },
    { withinSeconds: 5, ports: 210 },
    { withinSeconds: 15, ports: 640 },
    { withinSeconds: 30, ports: 1_260 },
    { withinSeconds: 60, ports: 2_500 },
  ],
  connectionsOpened: 123_456,
  timeWaitRecycled: 12,
  truncated: {
    ephemeral_port_destination_used_ports: 12,
    ephemeral_port_listener_info: 0,
    ephemeral_port_owner_used_ports: 7,
  },
})

/** `host` could be read, `self` not. */
export const sampleSnapshot = buildSnapshot({
  takenAtSeconds: 1_764_000_000.5,
  durations: { discover: 0.0005, read: 0.0425, model: 0.0075, other: 0.001 },
  samples: 17,
  leftOut: { namespaces: 3, postponed: 2 },
  namespaces: [
    buildNamespace({
      netns: 'self',
      netnsKind: 'self',
      failure: { reason: 'permission', message: 'Cannot open /proc/7/ns/net: EACCES' },
    }),
    buildNamespace({
      state: { ...sampleState, pools: [...sampleState.pools, ...natState.pools] },
      nat: natState,
      conntrack: {
        entries: 1_004,
        limitEntries: 262_144,
        collisions: 48_000,
        insertFailed: 31,
        dropped: 32,
        clashesResolved: 2,
        dropSignature: 'unclear',
        translatesIpv6: false,
      },
      allocationFailures: {
        pools: [{ pool: 'tcp_connect', total: 42 }],
        destinations: [
          { destination: '10.0.0.9:443', owner: 'checkout.service', total: 40 },
          { destination: 'other', owner: 'other', total: 2 },
        ],
      },
      probes: [
        { pool: 'tcp_bind', success: true, durationSeconds: 0.000025 },
        { pool: 'udp', success: false, durationSeconds: 0.0165 },
      ],
    }),
  ],
  failures: { ...countNoReadErrors(), permission: 3 },
  collectors: [
    { collector: 'destinations', success: true, durationSeconds: 0.0025 },
    { collector: 'listeners', success: false, durationSeconds: 0 },
  ],
})

/** The sample with something else in the state of `host`. */
export function snapshotWith(changes: Partial<NamespaceState>): Snapshot {
  return {
    ...sampleSnapshot,
    namespaces: [buildNamespace({ state: { ...sampleState, ...changes } })],
  }
}
