// The scenarios that are recorded: name -> settings and the sockets of it. What each of them must show is in
// golden.test.ts.

import { setTimeout as delay } from 'node:timers/promises'
import type { Endpoint } from '../support/kernel/libc.ts'
import type { OpenRequest } from '../support/netns/actor-sockets.ts'
import { plainSettings, type Settings } from '../support/netns/mix.ts'
import { VETH } from '../support/netns/netns.ts'
import { buildExplicitBind, buildHalfClosed, buildListenersInRange } from './scenarios-servers.ts'
import { blackHole, type Stage, server } from './stage.ts'

export interface RecordedScenario {
  readonly description: string
  readonly settings: Settings
  readonly build: (stage: Stage) => Promise<void>
  /** connect() to the destination that the page must name; undefined where filling the pools would take too long. */
  readonly worst: OpenRequest | undefined
}

const server6: Endpoint = { address: '::1', port: 8001 }

/** 60 ports: enough for both halves of a search, few enough to read. */
const sixtyPorts: Settings = { ...plainSettings, first: 40_000, last: 40_059, twReuse: 0 }

export const scenarios: Readonly<Record<string, RecordedScenario>> = {
  'idle-host': {
    description: 'The default range; an SSH server, a resolver and three connections.',
    settings: plainSettings,
    build: async (stage) => {
      await stage.listen({ address: '0.0.0.0', port: 22 })
      await stage.listen({ address: '::', port: 22 }, { ipv6Only: true })
      await stage.open({ protocol: 'udp', bind: { address: '127.0.0.53', port: 53 } })
      await stage.listen(server)
      await stage.connect(server, 3)
      await stage.connect({ address: '127.0.0.53', port: 53 }, 1, { protocol: 'udp' })
    },
    worst: undefined,
  },

  'one-destination-nearly-full': {
    description: '57 of 60 ports connected to one destination, a few to two others.',
    settings: sixtyPorts,
    build: async (stage) => {
      await stage.listen(server)
      await stage.listen({ address: '127.0.0.1', port: 8002 })
      await stage.listen({ address: '127.0.0.5', port: 8001 })
      await stage.connect(server, 57)
      await stage.connect({ address: '127.0.0.1', port: 8002 }, 5)
      await stage.connect({ address: '127.0.0.5', port: 8001 }, 2)
    },
    worst: { connect: server },
  },

  'time-wait-storm': {
    description: '40 TIME_WAIT of all ages and 5 connections; tcp_tw_reuse is off.',
    settings: sixtyPorts,
    build: async (stage) => {
      await stage.listen(server)
      for (const waitSeconds of [15, 17, 13, 12, 0]) {
        await stage.leaveTimeWait(server, 8)
        await delay(waitSeconds * 1000)
      }
      await stage.connect(server, 5)
    },
    worst: { connect: server },
  },

  'time-wait-reuse': {
    description: '20 TIME_WAIT older than tcp_tw_reuse_delay and 10 younger; tcp_tw_reuse is on.',
    settings: { ...sixtyPorts, twReuseDelayMs: 5000 },
    build: async (stage) => {
      await stage.listen(server)
      await stage.leaveTimeWait(server, 20)
      await delay(6500)
      await stage.leaveTimeWait(server, 10)
      await stage.connect(server, 5)
      // Only now, or the later connections would recycle what the first left.
      await stage.netns.call('setSysctls', { 'net.ipv4.tcp_tw_reuse': 1 })
    },
    worst: { connect: server },
  },

  'bound-idle-leak': {
    description: 'Every port bound by bind(0) and never used; /proc shows none of them.',
    settings: sixtyPorts,
    build: async (stage) => {
      await stage.listen(server)
      await stage.netns.call('actAs', 1000)
      await stage.open({ bind: { address: '127.0.0.1', port: 0 }, count: 60 })
      await stage.netns.call('actAs', 0)
    },
    worst: { connect: server },
  },

  'listeners-in-range': {
    description: 'Four TCP listeners and one of UDP inside the range, with clients outside of it.',
    settings: sixtyPorts,
    build: buildListenersInRange,
    worst: { connect: server },
  },

  'dual-stack': {
    description: 'One dual-stack server reached by IPv4, by v4-mapped and by IPv6 sockets.',
    settings: sixtyPorts,
    build: async (stage) => {
      await stage.listen({ address: '::', port: 8001 }, { ipv6Only: false })
      await stage.connect(server, 10)
      await stage.connect({ address: '::ffff:127.0.0.1', port: 8001 }, 7)
      await stage.connect(server6, 8)
      await stage.connect({ address: 'fd00::1', port: 8001 }, 3)
      await stage.open({ bind: { address: '0.0.0.0', port: 0 } })
      await stage.open({ bind: { address: '::1', port: 0 } })
      for (const protocol of ['tcp', 'udp'] as const) {
        await stage.open({ protocol, bind: { address: '::', port: 0 }, ipv6Only: false })
        await stage.open({ protocol, bind: { address: '::', port: 0 }, ipv6Only: true })
      }
      await stage.connect({ address: '127.0.0.1', port: 53 }, 2, { protocol: 'udp' })
    },
    worst: { connect: server },
  },

  'udp-full': {
    description: 'Every UDP port bound or connected; TCP untouched.',
    settings: { ...sixtyPorts, last: 40_029 },
    build: async (stage) => {
      await stage.listen(server)
      const udp = { protocol: 'udp' as const }
      await stage.connect({ address: '127.0.0.1', port: 53 }, 14, udp)
      await stage.connect({ address: '::1', port: 53 }, 6, udp)
      await stage.open({ ...udp, bind: { address: '0.0.0.0', port: 0 }, count: 6 })
      await stage.open({ ...udp, bind: { address: '::', port: 0 }, ipv6Only: false, count: 4 })
    },
    worst: { connect: server },
  },

  'ipv6-only': {
    description: 'No IPv4 socket at all: connections, TIME_WAIT, idle binds, a listener, UDP.',
    settings: sixtyPorts,
    build: async (stage) => {
      await stage.listen(server6)
      await stage.listen({ address: 'fd00::1', port: 8001 })
      await stage.listen({ address: '::', port: 40_040 }, { ipv6Only: true })
      await stage.connect({ address: 'fd00::1', port: 8001 }, 5)
      await stage.leaveTimeWait(server6, 4)
      await stage.connect(server6, 12)
      await stage.open({ bind: { address: '::1', port: 0 }, count: 3 })
      const udp = { protocol: 'udp' as const }
      await stage.open({ ...udp, bind: { address: '::1', port: 0 }, count: 2 })
      await stage.connect({ address: '::1', port: 53 }, 1, udp)
    },
    worst: { connect: server6 },
  },

  'reserved-ports': {
    description: '16 of 60 ports reserved, two of them in use by those they are reserved for.',
    settings: {
      ...sixtyPorts,
      // From below the range into it, one within, and from within to beyond it.
      reserved: [...ports(39_990, 40_004), 40_011, ...ports(40_050, 40_100)],
    },
    build: async (stage) => {
      await stage.listen(server)
      const kept = { address: '127.0.0.1', port: 40_011 }
      await stage.listen(kept)
      await stage.connectFrom([{ address: '127.0.0.8', port: 20_000 }], kept)
      await stage.open({ bind: { address: '127.0.0.1', port: 40_002 } })
      await stage.listen({ address: '127.0.0.1', port: 40_020 })
      await stage.connect(server, 9)
    },
    worst: { connect: server },
  },

  'odd-range': {
    description: '37 ports: each search of TCP skips the first or the last of them.',
    settings: { ...sixtyPorts, first: 40_001, last: 40_037 },
    build: async (stage) => {
      await stage.listen(server)
      await stage.connect(server, 12)
      await stage.open({ bind: { address: '127.0.0.1', port: 0 }, count: 2 })
    },
    worst: { connect: server },
  },

  'device-bound': {
    description: 'Sockets bound to a device beside others with the same addresses.',
    settings: sixtyPorts,
    build: async (stage) => {
      await stage.listen(server)
      await stage.connect(server, 4)
      await stage.connect(server, 6, { device: 'lo' })
      await stage.connect(blackHole, 3, { nonBlocking: true })
      await stage.connect(blackHole, 5, { nonBlocking: true, device: VETH })
    },
    worst: { connect: server, device: 'lo' },
  },

  'explicit-bind': {
    description: 'Ports that applications chose: idle, connected, v4-mapped, UDP.',
    settings: sixtyPorts,
    build: buildExplicitBind,
    worst: { connect: server },
  },

  'half-closed': {
    description: 'Connections that end: every state between established and gone but CLOSING.',
    settings: sixtyPorts,
    build: buildHalfClosed,
    worst: { connect: server },
  },
}

function ports(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
