// Ports of namespaces that are hardly used, and so are not listed in every sample: a runtime sets them after it made the
// namespace, and somebody may reserve some later.

import { statSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { type Page, readFreshPage } from '../support/netns/actor-page.ts'
import { whyNotExact } from '../support/netns/live.ts'
import { withNodeExporter } from '../support/program/node-page.ts'

const FLAGS = ['--sample.interval=1s']
/** Two, and what a busy machine may add to them. */
const SOON_SAMPLES = 10
const RANGE = 'net.ipv4.ip_local_port_range'
const RESERVED = 'net.ipv4.ip_local_reserved_ports'
const CONNECT = { pool: 'tcp_connect' }

const nameOf = ({ pid }: Netns) => `inode/${statSync(`/proc/${pid}/ns/net`).ino}`

test('a range, or reserved ports, that come later are on the page at once', async (context) => {
  const reason = whyNotExact()
  if (reason !== undefined) return context.skip(reason)
  await withNodeExporter(FLAGS, async (exporter) => {
    await withNetns(async (netns) => {
      const capacity = (page: Page) =>
        page.find('ephemeral_port_pool_capacity_ports', { netns: nameOf(netns), ...CONNECT })
      const samples = (page: Page) => page.value('ephemeral_port_samples_total')
      /** Samples until the page says so. */
      const until = async (ports: number) => {
        const before = samples(await exporter.read())
        const page = await exporter.until((one) => (capacity(one) === ports ? one : undefined))
        return samples(page) - before
      }
      await exporter.until((page) => capacity(page) === 28_232 || undefined)
      await netns.call('setSysctls', { [RANGE]: '40000 40099' })
      expect(await until(100)).toBeLessThan(SOON_SAMPLES)
      await netns.call('setSysctls', { [RESERVED]: '40010-40039' })
      expect(await until(70)).toBeLessThan(SOON_SAMPLES)
      await delay(1500)
      await netns.call('setSysctls', { [RESERVED]: '', [RANGE]: '40000 40021' })
      expect(await until(22)).toBeLessThan(SOON_SAMPLES)
    })
  })
})

test('a limit of -1 takes its own gauge away, and nothing else', async (context) => {
  const reason = whyNotExact()
  if (reason !== undefined) return context.skip(reason)
  await withNetns(async (netns) => {
    await netns.call('setSysctls', { 'net.ipv4.tcp_max_tw_buckets': -1, [RANGE]: '40000 40099' })
    await netns.call('startExporter', { flags: FLAGS })
    const page = await readFreshPage(netns)
    expect(page.value('ephemeral_port_pool_available_ports', CONNECT)).toBe(100)
    expect(page.value('ephemeral_port_ip_autobind_reuse')).toBe(0)
    expect(page.find('ephemeral_port_tcp_max_tw_buckets')).toBeUndefined()
  })
})
