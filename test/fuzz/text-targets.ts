// Texts: of /proc, sysctls and programs, of the Kubernetes API, of users, and of whoever sends a request.

import { readdirSync, readFileSync } from 'node:fs'
import { parseArgv } from '../../src/config/argv.ts'
import { parseEnv } from '../../src/config/env.ts'
import { parseDurationMs } from '../../src/config/values.ts'
import { parseYamlTree } from '../../src/config/yaml-tree.ts'
import { parseConntrackCounts } from '../../src/kernel/conntrack-stat.ts'
import { decodeProcNet } from '../../src/kernel/proc-net.ts'
import { parseActiveOpens, parseCounter, parseTcpSocketCount } from '../../src/kernel/proc-snmp.ts'
import { parseSocketBound } from '../../src/kernel/proc-sockstat.ts'
import { parseStartSeconds } from '../../src/kernel/proc-stat.ts'
import { parsePortRange, parseReservedPorts } from '../../src/kernel/sysctl.ts'
import { parseEventFormat, parsePageFormat } from '../../src/kernel/trace-event-format.ts'
import { parseGoneEvents } from '../../src/kernel/trace-ring-stats.ts'
import { parseCgroupPath, parseProcCgroup } from '../../src/owners/cgroup-path.ts'
import { findCgroupRoot } from '../../src/owners/cgroup-root.ts'
import { parsePasswd } from '../../src/owners/user-names.ts'
import { parsePodList } from '../../src/pods/pods.ts'
import { parseMacosPortRange, parseNetshDynamicPort } from '../../src/sources/portable-range.ts'
import { parseAltNames } from '../../src/web/protection/client-certificates.ts'
import { parseBasic } from '../../src/web/protection/credentials.ts'
import { parseGoDurationMs } from '../../src/web/protection/go-values.ts'
import { parseWebConfig } from '../../src/web/protection/web-config.ts'
import { bytesOf, demand, type Target, textOf } from './target.ts'

const FIXTURES = new URL('../fixtures/', import.meta.url)

/** The beginnings of all files of a folder of the fixtures, folders in it included. */
function fixtures(folder: string): readonly Uint8Array[] {
  const names = readdirSync(new URL(folder, FIXTURES), { recursive: true, withFileTypes: true })
  return names
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => new Uint8Array(readFileSync(`${parentPath}/${name}`)))
    .map((bytes) => bytes.subarray(0, 8192))
}

const TABLES = ['tcp', 'tcp6', 'udp', 'udp6'] as const
const procTables = () =>
  fixtures('proc/').filter((bytes) => textOf(bytes).includes('local_address'))

const podList = JSON.stringify({
  kind: 'PodList',
  apiVersion: 'v1',
  metadata: {},
  items: [
    {
      metadata: { uid: 'a-b', namespace: 'shop', name: 'cart', annotations: {} },
      spec: {
        securityContext: { sysctls: [{ name: 'net.ipv4.ip_local_port_range', value: '1 2' }] },
      },
      status: {
        podIPs: [{ ip: '10.0.0.1' }],
        containerStatuses: [{ name: 'web', containerID: `containerd://${'ab'.repeat(32)}` }],
      },
    },
  ],
})

const webConfig = `tls_server_config:
  cert_file: a
  key: "-----BEGIN"
  client_auth_type: RequireAnyClientCert
  client_allowed_sans: [a, "::1"]
  cipher_suites: [TLS_AES_128_GCM_SHA256]
http_server_config: { http2: true, headers: { X-Frame-Options: deny } }
basic_auth_users: { a: $2y$10$${'a'.repeat(53)} }
rate_limit: { interval: 1m30s, burst: 5 }
`

/** Each of several small parsers sees the text; what one refuses the next may take. */
function attemptAll(text: string, parsers: readonly ((text: string) => unknown)[]): unknown {
  let last: unknown
  let refusal: unknown
  for (const parse of parsers) {
    try {
      last = parse(text)
    } catch (error) {
      // NB: only the word of the last is told, but each must be one that is documented.
      refusal = error
      if (!(error instanceof Error) || !/^(DecodeError|SourceError)$/.test(error.name)) throw error
    }
  }
  if (last === undefined && refusal !== undefined) throw refusal
  return last
}

export const textTargets: readonly Target[] = [
  {
    name: 'proc-net',
    seeds: () => procTables(),
    read: (bytes) => {
      const table = TABLES[(bytes[0] ?? 0) % TABLES.length] ?? 'tcp'
      const middle = bytes.length >> 1
      const chunks = [bytes.subarray(0, middle), bytes.subarray(middle)]
      let rows = 0
      for (const batch of decodeProcNet(chunks, { table })) rows += batch.length
      return demand('rows', rows, bytes.length / 10)
    },
  },
  {
    name: 'proc',
    seeds: () => [
      ...fixtures('proc/'),
      bytesOf('Tcp: A ActiveOpens\nTcp: 1 2\n'),
      bytesOf('TCP: inuse 5 orphan 0 tw 3 alloc 6 mem 1\n'),
      bytesOf('12 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 1234 20\n'),
      bytesOf(
        'entries  clashres found new invalid ignore drop\n00000001 00000000 0 0 00000002 0 3\n',
      ),
      bytesOf('sk               Eth Pid        Groups   Rmem\n'),
      bytesOf('entries: 0\noverrun: 0\ncommit overrun: 3\ndropped events: 4\n'),
    ],
    read: (bytes) =>
      attemptAll(textOf(bytes), [
        parseActiveOpens,
        (text) => parseCounter(text, 'TcpExt', 'TWRecycled'),
        (text) => parseTcpSocketCount(text, text),
        parseSocketBound,
        parseStartSeconds,
        parseConntrackCounts,
        parseGoneEvents,
      ]),
  },
  {
    name: 'sysctl',
    seeds: () => [
      bytesOf('32768\t60999\n'),
      bytesOf('1-9,20,30-40,65535\n'),
      ...fixtures('sysctl-macos/'),
      ...fixtures('netsh/'),
    ],
    read: (bytes) =>
      attemptAll(textOf(bytes), [
        parseMacosPortRange,
        parseNetshDynamicPort,
        (text) =>
          parseReservedPorts(text).map(({ first, last }) => demand('port', last - first, 65_535)),
        (text) => {
          const { first, last } = parsePortRange(text)
          return demand('ports', last - first, 65_535)
        },
      ]),
  },
  {
    name: 'trace-format',
    seeds: () => fixtures('tracefs/'),
    read: (bytes) =>
      attemptAll(textOf(bytes), [
        (text) => parseEventFormat(text).bytes,
        (text) => parsePageFormat(text).bytes,
      ]),
  },
  {
    name: 'cgroup',
    seeds: () => [
      ...fixtures('cgroup-paths/'),
      bytesOf('36 35 0:30 /../.. /sys/fs/cgroup ro,nosuid - cgroup2 cgroup2 rw\n'),
      bytesOf('/kubepods.slice/kubepods-pod1_2_3.slice/cri-containerd-ab.scope'),
    ],
    read: (bytes) => {
      const text = textOf(bytes)
      findCgroupRoot(text)
      const path = parseProcCgroup(text)
      return [parseCgroupPath(text).kind, path === undefined ? '' : parseCgroupPath(path).kind]
    },
  },
  {
    name: 'passwd',
    seeds: () => [bytesOf('root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/:\n+::::::\n')],
    read: (bytes) => parsePasswd(textOf(bytes)).size,
  },
  {
    name: 'pods',
    seeds: () => [bytesOf(podList), bytesOf('{"kind":"PodList","items":null}')],
    read: (bytes) => parsePodList(textOf(bytes)).length,
  },
  {
    name: 'web-config',
    seeds: () => [
      bytesOf(webConfig),
      bytesOf('basic_auth_users: [a]\nrate_limit: {interval: 1}\n'),
    ],
    read: (bytes) => {
      const parsed = parseWebConfig(textOf(bytes), 'web.yml')
      return 'problems' in parsed ? parsed.problems.length : 'config'
    },
  },
  {
    name: 'yaml',
    seeds: () => [
      bytesOf('sample: { interval: 5s }\nweb.listen-address: [":1", "[::1]:2"]\n'),
      bytesOf('a: &b [1, *b]\nc: !!str |\n  x\n---\n? [k]\n: v\n'),
    ],
    read: (bytes) => {
      const parsed = parseYamlTree(textOf(bytes), 'file.yml')
      return 'problems' in parsed ? parsed.problems.length : parsed.tree.kind
    },
  },
  {
    name: 'command-line',
    seeds: () => [
      bytesOf('status\n--json\n--top=5\n--no-collector.owners\n--web.listen-address\n:1'),
      bytesOf('EPHEMERAL_PORT_EXPORTER_TOP\n5\nEPHEMERAL_PORT_EXPORTER_NETNS\nself'),
    ],
    read: (bytes) => {
      const words = textOf(bytes).split('\n')
      const env = Object.fromEntries(words.map((word, i) => [word, words[i + 1]]))
      return [parseArgv(words).problems.length, parseEnv(env).problems.length]
    },
  },
  {
    name: 'requests',
    seeds: () => [
      bytesOf('Basic YWxpY2U6b3BlbiBzZXNhbWU='),
      bytesOf('DNS:a.example, IP Address:0:0:0:0:0:0:0:1, URI:"http://x\\u002c"'),
      bytesOf('1h30m0.5s'),
    ],
    read: (bytes) => {
      const text = textOf(bytes)
      const durations = [parseDurationMs(text), parseGoDurationMs(text)]
      return [
        ...durations.map((ms) => ms ?? 'none'),
        parseBasic(text) ? 'basic' : parseAltNames(text).size,
      ]
    },
  },
]
