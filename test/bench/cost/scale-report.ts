// What scenes cost -> the Markdown report of `npm run bench:scale`, which the console and a file show alike.

import { readFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { renderTable } from './report.ts'
import type { Scene } from './scale-scenes.ts'

export interface Result {
  /** TCP sockets of others on the machine. */
  readonly strangers: number
  /** Sockets that one sample of the floor lists. */
  readonly rows: number
  /** CPU time of the whole process. */
  readonly sampleMs: number
  readonly floorMs: number
  /** The same of the floor that asks for idle sockets once and reads the files of each namespace, as the program does. */
  readonly alikeMs: number
  /** Namespaces that the floor lists in a sample, our own among them. They may be a part of all. */
  readonly listed: number
  /** Those that the program lists in one, and those that it leaves to the next, as means. */
  readonly read: number
  readonly postponed: number
  readonly residentMb: number
  readonly scrapeMs: number
  /** The first scrape of a sample has its page made. */
  readonly longestScrapeMs: number
  readonly emptyMs: number
  readonly pageMb: number
}

export interface Measured {
  readonly scene: Scene
  readonly result: Result
}

/** `none` is the scene that memory is compared with. */
export function renderReport(measured: readonly Measured[], none: Result | undefined): string {
  const inOne = measured.filter(({ scene }) => scene.namespaces === 0)
  const inMany = measured.filter(({ scene }) => scene.namespaces > 0)
  return [
    '# Cost at scale\n',
    `Written by \`npm run bench:scale\` on Node ${process.version.slice(1)}, Linux ${release()}, ${cpus().length} CPUs.`,
    'The running program, with samples that follow one another; medians. A sample is the CPU time of the whole process from one to',
    'the next, while nobody asks it for anything. A scrape, compressed as for Prometheus, and the empty answer of `/-/healthy` are',
    'asked for while samples are taken. The longest scrape is the first of a sample, for which the page is made. Sockets of others,',
    'which had nothing to do with the bench, make each dump dearer, and so the factors smaller. So does a larger table of TCP',
    `sockets, which each dump walks: this machine has ${readBuckets()} buckets.\n`,
    ...(inOne.length === 0 ? [] : ['## One namespace\n', renderOne(inOne, none)]),
    ...(inMany.length === 0
      ? []
      : ['## Many namespaces\n', ...EXPLAINED, renderMany(inMany, none)]),
  ].join('\n')
}

/** Of the initial namespace, which others share unless told otherwise; negative there (net/ipv4/sysctl_net_ipv4.c). */
function readBuckets(): string {
  const entries = Number(readFileSync('/proc/sys/net/ipv4/tcp_ehash_entries', 'utf8'))
  return Math.abs(entries).toLocaleString('en')
}

const EXPLAINED = [
  'The floor enters namespaces and makes its six dumps in each: in our own and in a hundred others at most, since all are alike.',
  'The program does nearly the same where a namespace is busy. It lists quiet ones in turn, so that it does less, and it leaves',
  'namespaces to the next sample when one has taken ten seconds. Three factors tell what is dearer from what is left out:\n',
  '* each, x floor: CPU of a sample by the namespaces that it has listed, against CPU of the floor by those that it has listed.',
  '  All else that a sample does is in it: it finds the namespaces, bounds the ports of each, and models and tells what it read.',
  '  This is the limit of 1.15, and it means something only where nearly all namespaces are listed.',
  '* all, x floor: a whole sample against a floor that lists all namespaces, at the same price for each. Where not all are listed',
  '  this is what is saved by not listing them.',
  '* x alike: as each, against a floor that does what the program does: it asks for idle sockets once, and it reads the 13 files of',
  '  settings and counts of each namespace, without which nobody can say how many ports are left.\n',
]

function renderOne(measured: readonly Measured[], none: Result | undefined): string {
  const rows = measured.map(({ scene, result }) => [
    scene.name,
    result.rows.toLocaleString('en'),
    renderMs(result.floorMs),
    renderMs(result.sampleMs),
    (result.sampleMs / result.floorMs).toFixed(2),
    ...renderRest(result, none),
  ])
  return renderTable(['', 'rows', 'floor', 'a sample', 'x floor', ...REST], rows)
}

function renderMany(measured: readonly Measured[], none: Result | undefined): string {
  const rows = measured.map(({ scene, result }) => {
    const all = 1 + scene.namespaces
    const each = result.sampleMs / result.read
    const floorEach = result.floorMs / result.listed
    return [
      scene.name,
      renderMs(floorEach * all),
      renderMs(result.sampleMs),
      `${renderCount(result.read)} of ${all.toLocaleString('en')}`,
      renderCount(result.postponed),
      renderMs(floorEach),
      renderMs(each),
      (each / floorEach).toFixed(2),
      ((each * result.listed) / result.alikeMs).toFixed(2),
      (result.sampleMs / (floorEach * all)).toFixed(2),
      ...renderRest(result, none),
    ]
  })
  const head = ['', 'floor', 'a sample', 'listed', 'postponed', 'floor, each', 'a sample, each']
  const factors = ['each, x floor', 'x alike', 'all, x floor']
  return renderTable([...head, ...factors, ...REST], rows)
}

const REST = ['resident', 'more', 'a scrape', 'x empty', 'longest', 'page', 'sockets of others']

function renderRest(result: Result, none: Result | undefined): readonly string[] {
  return [
    `${result.residentMb.toFixed(0)} MB`,
    none === undefined ? '' : `${(result.residentMb - none.residentMb).toFixed(0)} MB`,
    renderMs(result.scrapeMs),
    (result.scrapeMs / result.emptyMs).toFixed(1),
    renderMs(result.longestScrapeMs),
    `${result.pageMb.toFixed(2)} MB`,
    result.strangers.toLocaleString('en'),
  ]
}

function renderMs(ms: number): string {
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`
}

function renderCount(count: number): string {
  return Number(count.toFixed(1)).toLocaleString('en')
}
