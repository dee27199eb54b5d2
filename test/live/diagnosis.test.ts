// Real exhaustion in eight ways: the diagnosis names cause, owner and destination, and the command that it prints, typed as it
// is in another namespace, cures this one and changes no other.

import { spawnSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { PoolDiagnosis } from '../../src/diagnosis/pool-diagnosis.ts'
import { withNetns } from '../support/netns/actor.ts'
import { whyNotExact } from '../support/netns/live.ts'
import { withNamedNetns } from '../support/netns/named-netns.ts'
import { type NodeExporter, withNodeExporter } from '../support/program/node-page.ts'
import { waitFor } from '../support/program/program.ts'
import { listen, PORTS, type Scene, scenes, server } from './diagnosis-scenes.ts'

const tools = ['ip', 'nsenter', 'ss', 'sysctl']
const missing = tools.filter((tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0)
const skipReason = whyNotExact() ?? (missing.length > 0 ? `needs ${missing.join(', ')}` : undefined)

const FLAGS = [
  '--sample.interval=300ms',
  '--sample.cpu-budget=1',
  '--collector.probe',
  '--detail.min-utilization=0.05',
]
const hot = { pool: 'tcp_connect', cause: 'many_connections' } as const

/** Of the caller's namespace, but for what counts by itself. */
function readSysctls(enter: readonly string[] = []): string {
  const [file = '', ...args] = [...enter, 'sysctl', '-a', '-e', '-r', '^(net|vm|fs|kernel)\\.']
  const counting =
    /^(fs\.(dentry|inode|file-nr|quota)|kernel\.(random|ns_last_pid|pty\.nr|sched_domain)|.*_count =)/
  const { stdout } = spawnSync(file, args, { encoding: 'utf8', maxBuffer: 2 ** 26 })
  return stdout
    .split('\n')
    .filter((line) => !counting.test(line))
    .join('\n')
}

/** Waits until the pool of that namespace has this cause and no port left. */
async function waitForPool(
  { readDiagnosis }: NodeExporter,
  netns: string,
  scene: Pick<Scene, 'pool' | 'cause'> & Partial<Pick<Scene, 'remedy' | 'buys'>>,
): Promise<PoolDiagnosis> {
  const { pool, cause, remedy = /./, buys = /^/ } = scene
  let last: unknown
  const look = async () => {
    const { pools } = await readDiagnosis()
    last = pools.filter((one) => one.netns === netns)
    return pools.find(
      (one) =>
        one.netns === netns &&
        one.pool === pool &&
        one.verdict === 'exhausted' &&
        one.cause?.cause === cause &&
        // The other end of the last connections may have to close still.
        remedy.test(one.remedies[0]?.advice ?? '') &&
        one.remedies.some((found) => buys.test(found.buys ?? '')),
    )
  }
  return await waitFor(look).catch((error: unknown) => {
    throw new Error(`Not the diagnosis: ${JSON.stringify(last)}`, { cause: error })
  })
}

describe('the diagnosis of an exhausted pool', () => {
  test.each(scenes.map((scene) => [scene.name, scene] as const))('of %s', async (_name, scene) => {
    if (skipReason !== undefined) return
    await withNetns((bystander) =>
      withNetns(async (sick) => {
        await sick.call('setSysctls', {
          'net.ipv4.ip_local_port_range': `40000 ${40_000 + PORTS - 1}`,
          'net.ipv4.ip_local_reserved_ports': '20010-20012',
        })
        await withNodeExporter(FLAGS, async (exporter) => {
          const inode = statSync(`/proc/${sick.pid}/ns/net`).ino
          const netns = `inode/${inode}`
          await scene.exhaust(sick, async () => {
            await exporter.readFreshOf(netns)
          })
          expect((await sick.call('fill', { ...scene.attempt, limit: 20 })).count).toBe(0)

          const found = await waitForPool(exporter, netns, scene)
          const comm = readFileSync(`/proc/${sick.pid}/comm`, 'utf8').trim()
          expect(found.because).toMatch(/^400 of 400 ports /)
          expect(found.cause?.owner).toBe(`user root (PID ${sick.pid}, ${comm})`)
          if (scene.destination !== undefined) {
            expect(found.destination?.destination).toBe(scene.destination)
          }
          expect(found.remedies.length).toBeLessThanOrEqual(2)
          expect(found.remedies[0]?.advice).toMatch(scene.remedy)
          const remedy = found.remedies.find(({ command }) => command !== undefined)
          expect(remedy?.buys).toMatch(scene.buys)

          const enter = ['nsenter', '-t', String(bystander.pid), '-n']
          const before = { host: readSysctls(), bystander: readSysctls(enter) }
          expect(before.bystander).toMatch(/ip_local_port_range = 32768/)
          const [file = '', ...words] = enter
          const ran = spawnSync(file, [...words, 'sh', '-c', remedy?.command ?? ''], {
            encoding: 'utf8',
          })
          expect([ran.status, ran.stderr]).toEqual([0, ''])
          expect({ host: readSysctls(), bystander: readSysctls(enter) }).toEqual(before)

          // TIME_WAIT may be recycled once it is a second old.
          const cured = await waitFor(async () => {
            const { count } = await sick.call('fill', { ...scene.attempt, limit: 20 })
            return count === 20 || undefined
          })
          expect(cured).toBe(true)
          const reserved = await sick.call('readFile', {
            path: '/proc/sys/net/ipv4/ip_local_reserved_ports',
          })
          expect(reserved).toBe('20010-20012\n')
        })
      }),
    )
  })

  test('says what may be where nobody may look: ports that were bound first', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    const scene = scenes.find(({ cause }) => cause === 'bind_before_connect')
    const flags = FLAGS.filter((flag) => flag !== '--collector.probe')
    await withNetns((sick) =>
      withNodeExporter([...flags, '--no-collector.buckets'], async ({ readDiagnosis }) => {
        await sick.call('setSysctls', { 'net.ipv4.ip_local_port_range': '40000 40399' })
        await scene?.exhaust(sick, async () => {})
        expect((await sick.call('fill', { connect: server, limit: 20 })).count).toBe(0)
        const netns = `inode/${statSync(`/proc/${sick.pid}/ns/net`).ino}`
        const found = await waitFor(async () => {
          const { pools } = await readDiagnosis()
          return pools.find((one) => one.netns === netns && one.pool === 'tcp_connect')
        })
        expect([found.verdict, found.severity]).toEqual(['watch', 'warning'])
        expect(found.headline).toMatch(/^0 to 360 of 400 ports left to 10\.9\.0\.1:80\d\d from /)
        expect(found.because).toMatch(
          /^360 of 400 ports may be held by connections whose port was bound first, held by user root/,
        )
        expect(found.when).toMatch(/^perhaps failing: connect\(\) fails/)
        expect(found.explanation).toContain('CAP_BPF and CAP_PERFMON')
        expect(found.remedies[0]?.advice).toContain('IP_BIND_ADDRESS_NO_PORT')
        expect(spawnSync('sh', ['-c', found.remedies[1]?.command ?? 'false']).status).toBe(0)
        expect((await sick.call('fill', { connect: server, limit: 20 })).count).toBe(20)
      }),
    )
  })

  test('of a namespace with a name is cured by that name, however odd', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    const name = `it's $(touch owned) ${process.pid}; true`
    await withNetns((sick) =>
      withNamedNetns(
        sick.pid,
        () =>
          withNodeExporter(FLAGS, async (exporter) => {
            await sick.call('setSysctls', { 'net.ipv4.ip_local_port_range': '40000 40399' })
            await listen(sick)
            await sick.call('open', { connect: server, count: PORTS })
            const found = await waitForPool(exporter, `named/${name}`, hot)
            const { command } = found.remedies[0] ?? {}
            expect(command).toContain("ip netns exec 'it'\\''s $(touch owned) ")
            const before = readSysctls()
            expect(spawnSync('sh', ['-c', command ?? ''], { encoding: 'utf8' }).status).toBe(0)
            expect(readSysctls()).toBe(before)
            expect((await sick.call('fill', { connect: server, limit: 20 })).count).toBe(20)
            expect(() => statSync('owned')).toThrow('ENOENT')
          }),
        name,
      ),
    )
  })

  test('does nothing once the process is in another namespace than it was', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withNetns((sick) =>
      withNodeExporter(FLAGS, async (exporter) => {
        await sick.call('setSysctls', { 'net.ipv4.ip_local_port_range': '40000 40399' })
        await listen(sick)
        await sick.call('open', { connect: server, count: PORTS })
        const netns = `inode/${statSync(`/proc/${sick.pid}/ns/net`).ino}`
        const found = await waitForPool(exporter, netns, hot)
        // As if the number had been given to another process meanwhile: this one, in the namespace of the test.
        const command =
          found.remedies[0]?.command?.replace(`-t ${sick.pid} `, `-t ${process.pid} `) ?? ''
        const before = readSysctls()
        expect(spawnSync('sh', ['-c', command]).status).toBe(1)
        expect(readSysctls()).toBe(before)
      }),
    )
  })
})
