// The source against the kernel: in a namespace made for it, and from a container into which the host's /proc is mounted.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { createProcfsSource } from '../../src/sources/procfs.ts'
import { inFreshNetns } from '../kernel/fresh-netns.ts'
import { describeRows } from '../kernel/rows.ts'
import { AF, check, SOCK } from '../support/kernel/libc.ts'
import { whyNotLive } from '../support/netns/live.ts'

test('read() lists exactly the sockets of the calling thread’s namespace', (ctx) => {
  ctx.skip(whyNotLive() !== undefined, whyNotLive())
  const seen = inFreshNetns((libc) => {
    const open = (family: number, type: number) =>
      check('open a socket', libc.socket(family, type | SOCK.closeOnExec, 0))
    const listener = open(AF.inet6, SOCK.stream)
    check('bind', libc.bind(listener, { address: '::', port: 45_000 }))
    check('listen', libc.listen(listener, 8))
    const mapped = open(AF.inet6, SOCK.stream)
    check('connect', libc.connect(mapped, { address: '::ffff:127.0.0.1', port: 45_000 }))
    const plain = open(AF.inet, SOCK.stream)
    check('connect', libc.connect(plain, { address: '127.0.0.1', port: 45_000 }))
    const accepted = [libc.accept(listener).fd, libc.accept(listener).fd]
    const idle = open(AF.inet, SOCK.stream)
    check('bind', libc.bind(idle, { address: '127.0.0.1', port: 45_001 }))
    const udp = open(AF.inet, SOCK.datagram)
    check('bind', libc.bind(udp, { address: '127.0.0.1', port: 45_002 }))
    // The client closes first and keeps TIME_WAIT.
    const ports = [libc.localEndpoint(mapped).port, libc.localEndpoint(plain).port]
    for (const fd of [plain, accepted[1] ?? -1]) libc.close(fd)

    const { batches, ...reading } = createProcfsSource({ procfs: '/proc' }).read()
    const rows = describeRows(batches)
    for (const fd of [listener, mapped, accepted[0] ?? -1, idle, udp]) libc.close(fd)
    return { reading, rows, ports }
  })
  const [mapped, plain] = seen.ports
  expect(seen.reading).toMatchObject({ netns: 'self', rangeOrigin: 'sysctl', activeOpens: 2 })
  const withoutTimers = seen.rows.map((row) => row.replace(/ \d+ms$/, ''))
  // Nothing is to be seen of the socket on 45001 that is only bound.
  expect(withoutTimers.sort()).toEqual(
    [
      'tcp listen [::]:45000 > [::]:0',
      `tcp established 127.0.0.1:${mapped} > 127.0.0.1:45000`,
      `tcp established 127.0.0.1:45000 > 127.0.0.1:${mapped}`,
      `tcp time_wait 127.0.0.1:${plain} > 127.0.0.1:45000 minisock`,
      'udp bound 127.0.0.1:45002 > 0.0.0.0:0',
    ].sort(),
  )
  const timer = seen.rows.find((row) => row.includes('minisock'))?.match(/ (\d+)ms$/)?.[1]
  expect(Number(timer)).toBeGreaterThan(55_000)
  expect(Number(timer)).toBeLessThanOrEqual(60_000)
})

const CONTAINER = `
  set -e
  mount --bind /proc "$1"
  mount -t proc proc /proc
  exec "$2" --import tsx --input-type=module -e '
    import { createProcfsSource } from "./src/sources/procfs.ts"
    const answers = ["/proc", process.argv[1]].map((procfs) => {
      const { netns, rangeOrigin, settings, batches } = createProcfsSource({ procfs }).read()
      return { netns, rangeOrigin, range: settings.range, sockets: [...batches].length > 0 }
    })
    console.log(JSON.stringify(answers))
  ' "$1"`

test.for([
  { network: 'of its own', args: ['--net'], own: 'self', origin: 'default' },
  { network: 'of the host', args: [], own: 'host', origin: 'sysctl' },
])(
  'read() tells the host’s /proc in a container with a network $network',
  ({ args, own, origin }, ctx) => {
    ctx.skip(whyNotLive() !== undefined, whyNotLive())
    const mountPoint = mkdtempSync(join(tmpdir(), 'host-proc-'))
    try {
      const container = spawnSync(
        'unshare',
        [
          '--mount',
          '--pid',
          '--fork',
          ...args,
          'sh',
          '-c',
          CONTAINER,
          'sh',
          mountPoint,
          process.execPath,
        ],
        { cwd: fileURLToPath(new URL('../..', import.meta.url)), encoding: 'utf8' },
      )
      expect(container.status, container.stderr).toBe(0)
      expect(JSON.parse(container.stdout)).toMatchObject([
        { netns: own, rangeOrigin: 'sysctl' },
        { netns: 'host', rangeOrigin: origin },
      ])
    } finally {
      rmdirSync(mountPoint)
    }
  },
)
