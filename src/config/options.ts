// THE table of options: flags, environment variables, keys of the YAML file, --help and docs/configuration.md come from
// it.

import { readers } from '../observation.ts'
import {
  absolutePathValue,
  createChoiceValue,
  createDurationValue,
  createWholeNumberValue,
  filePathValue,
  listenAddressValue,
  natRangeValue,
  ratioValue,
  shareValue,
  switchValue,
  telemetryPathValue,
  type Value,
} from './values.ts'

export const commands = {
  serve: 'Sample all the time and serve the metrics (the default)',
  status:
    'Print what the exporter of this host knows, else one sample; the exit status says how bad it is',
  doctor: 'Say what fails, what will fail and what to change; exit status as for status',
  bpf: 'Print the BPF program that --collector.buckets loads into this kernel',
} as const
export type Command = keyof typeof commands

export interface Option<T> {
  readonly group: 'Web' | 'Sampling' | 'Collectors' | 'General' | 'For status and doctor'
  /** A sentence without a full stop, and without the limits, which the value has. */
  readonly help: string
  readonly value: Value<T>
  /** Text like a user's; undefined where leaving it out is a value of its own. */
  readonly fallback: string | undefined
  /** May be given more than once; the value is then a list. */
  readonly repeatable?: true
  /** Marks an option of the command line only: it asks for something once instead of setting it. */
  readonly flagOnly?: true
  /** Means something to these commands alone. */
  readonly commands?: readonly Command[]
  /** One letter. */
  readonly short?: string
}

export const options = {
  'web.listen-address': {
    group: 'Web',
    help: 'Address to listen on; without a host every address of the machine',
    value: listenAddressValue,
    fallback: ':10132',
    repeatable: true,
  },
  'web.telemetry-path': {
    group: 'Web',
    help: 'Path of the metrics',
    value: telemetryPathValue,
    fallback: '/metrics',
  },
  'web.config.file': {
    group: 'Web',
    help: 'YAML file with TLS and basic authentication, in the format of the exporter-toolkit',
    value: filePathValue,
    fallback: undefined,
  },
  'web.disable-exporter-metrics': {
    group: 'Web',
    help: 'Leave out the metrics about this process (process_*, nodejs_*)',
    value: switchValue,
    fallback: 'false',
  },
  source: {
    group: 'Sampling',
    help: 'Where sockets are read from; auto takes the most exact one that works here',
    value: createChoiceValue('auto', ...readers),
    fallback: 'auto',
  },
  'path.procfs': {
    group: 'Sampling',
    help: 'Where procfs is mounted',
    value: absolutePathValue,
    fallback: '/proc',
  },
  'path.cgroup': {
    group: 'Sampling',
    help: 'Where cgroup v2 is mounted; by default wherever the mount table says',
    value: absolutePathValue,
    fallback: undefined,
  },
  'path.tracefs': {
    group: 'Sampling',
    help: 'Where tracefs is mounted; by default /sys/kernel/tracing or /sys/kernel/debug/tracing',
    value: absolutePathValue,
    fallback: undefined,
  },
  netns: {
    group: 'Sampling',
    help: 'Network namespaces to look at: all of the node that can be read, or only that of --path.procfs',
    value: createChoiceValue('all', 'self'),
    fallback: 'all',
  },
  'netns.max': {
    group: 'Sampling',
    help: 'Namespaces shown at most: named ones and pods first, then the oldest; of one user, pod or container a fiftieth, of its own containers a tenth, and as many again that are busy',
    value: createWholeNumberValue(1, 10_000),
    fallback: '500',
  },
  'sample.interval': {
    group: 'Sampling',
    help: 'Time between two samples; stretched where --sample.cpu-budget asks for it',
    value: createDurationValue('100ms', '5m'),
    fallback: '5s',
  },
  'sample.cpu-budget': {
    group: 'Sampling',
    help: 'Share of one CPU core that sampling may take',
    value: ratioValue,
    fallback: '0.02',
  },
  'sample.peak-window': {
    group: 'Sampling',
    help: 'Trailing window over which peaks are kept; below 60s also how long a new destination of failures is shown as 0',
    value: createDurationValue('1s', '1h'),
    fallback: '2m',
  },
  'forecast.horizon': {
    group: 'Sampling',
    help: 'How far the exhaustion risk looks ahead',
    value: createDurationValue('1m', '1d'),
    fallback: '15m',
  },
  top: {
    group: 'Sampling',
    help: 'Destinations, owners and listeners kept for each namespace',
    value: createWholeNumberValue(1, 1000),
    fallback: '10',
  },
  'detail.min-utilization': {
    group: 'Sampling',
    help: 'Utilization from which a namespace has all its rows; below it has about 30 (host, self and those in which an allocation fails or a NAT drops have all)',
    value: shareValue,
    fallback: '0.2',
  },
  'collector.destinations': {
    group: 'Collectors',
    help: 'Name the destinations that hold the most ports',
    value: switchValue,
    fallback: 'true',
  },
  'collector.owners': {
    group: 'Collectors',
    help: 'Name the systemd units, containers and pods that hold the ports',
    value: switchValue,
    fallback: 'true',
  },
  'collector.listeners': {
    group: 'Collectors',
    help: 'Name the listeners inside the ephemeral range',
    value: switchValue,
    fallback: 'true',
  },
  'collector.failures': {
    group: 'Collectors',
    help: 'Count the failed allocations that the kernel records, through tracefs; by default where it is permitted',
    value: switchValue,
    fallback: undefined,
  },
  'collector.buckets': {
    group: 'Collectors',
    help: "Read the kernel's bind buckets through a BPF iterator, so that no port is in doubt; by default where it is permitted",
    value: switchValue,
    fallback: undefined,
  },
  'collector.probe': {
    group: 'Collectors',
    help: 'Try allocations on loopback, and test ports whose bind history no listing shows',
    value: switchValue,
    fallback: 'false',
  },
  'collector.nat': {
    group: 'Collectors',
    help: 'Watch conntrack and the ports of source NAT; counters need no right, ports need CAP_NET_ADMIN',
    value: switchValue,
    fallback: 'true',
  },
  'collector.kubernetes': {
    group: 'Collectors',
    help: "Ask the Kubernetes API for the names of this node's pods; needs NODE_NAME and the right to list pods",
    value: switchValue,
    fallback: 'false',
  },
  'nat.port-range': {
    group: 'Sampling',
    help: 'Ports that source NAT may take of one of its addresses, whatever the rules say, as ADDRESS=FIRST-LAST',
    value: natRangeValue,
    fallback: undefined,
    repeatable: true,
  },
  'config.file': {
    group: 'General',
    help: 'YAML file with more of these options',
    value: filePathValue,
    fallback: undefined,
  },
  'log.level': {
    group: 'General',
    help: 'Least severity that is logged',
    value: createChoiceValue('debug', 'info', 'warn', 'error'),
    fallback: 'info',
  },
  'log.format': {
    group: 'General',
    help: 'Form of the log lines on standard error',
    value: createChoiceValue('logfmt', 'json'),
    fallback: 'logfmt',
  },
  version: {
    group: 'General',
    help: 'Print the version and exit',
    value: switchValue,
    fallback: 'false',
    flagOnly: true,
  },
  help: {
    group: 'General',
    help: 'Print this text and exit',
    value: switchValue,
    fallback: 'false',
    flagOnly: true,
    short: 'h',
  },
  watch: {
    group: 'For status and doctor',
    help: 'Sample and print again at every interval (status only)',
    value: switchValue,
    fallback: 'false',
    commands: ['status'],
  },
  json: {
    group: 'For status and doctor',
    help: 'Print each sample as one line of JSON',
    value: switchValue,
    fallback: 'false',
    commands: ['status', 'doctor'],
  },
} as const satisfies Readonly<Record<string, Option<unknown>>>

export type OptionName = keyof typeof options

type Parsed<O> = O extends Option<infer T> ? T : never
/** What each option of the table can hold once parsed. */
export type Settings = {
  readonly [N in OptionName]:
    | ((typeof options)[N] extends { repeatable: true }
        ? readonly Parsed<(typeof options)[N]>[]
        : Parsed<(typeof options)[N]>)
    | ((typeof options)[N]['fallback'] extends string ? never : undefined)
}

export const optionNames = Object.keys(options) as readonly OptionName[]

export function isOptionName(name: string): name is OptionName {
  return Object.hasOwn(options, name)
}

export function isCommand(word: string): word is Command {
  return Object.hasOwn(commands, word)
}

/** The row of an option, with its type widened. */
export function optionOf(name: OptionName): Option<unknown> {
  return options[name]
}

export const envPrefix = 'EPHEMERAL_PORT_EXPORTER_'

/** EPHEMERAL_PORT_EXPORTER_WEB_LISTEN_ADDRESS for web.listen-address. */
export function envNameOf(name: OptionName): string {
  return envPrefix + name.toUpperCase().replace(/[.-]/g, '_')
}

/** One option as one source gave it, not yet parsed. */
export interface Given {
  readonly name: OptionName
  readonly texts: readonly string[]
  /** Where it comes from, in words for a problem. */
  readonly origin: string
}

/** What one source (command line, environment, file) gave. */
export interface SourceText {
  readonly given: readonly Given[]
  readonly problems: readonly string[]
}
