import { describe, expect, test } from 'vitest'
import { renderFamilies } from '../../src/metrics/render.ts'
import type { NamespaceState } from '../../src/snapshot.ts'
import {
  sampleBuild,
  sampleSnapshot,
  sampleState,
  snapshotWith,
} from '../support/render/sample-snapshot.ts'
import { samplesOf } from './samples-of.ts'

describe('what is not known', () => {
  test('a namespace that could not be read has nothing but netns_info and netns_success', async () => {
    const lines = (await samplesOf(sampleSnapshot)).split('\n')
    expect(lines.filter((line) => line.includes('netns="self"'))).toEqual([
      'ephemeral_port_netns_info{netns="self",netns_kind="self",namespace="",pod=""} 1',
      'ephemeral_port_netns_success{netns="self"} 0',
    ])
  })

  const { settings, pools } = sampleState
  const [pool] = pools
  if (pool === undefined) throw new Error('The sample has no pool')

  test.each<[string, Partial<NamespaceState>]>([
    ['ephemeral_port_tcp_tw_reuse', { settings: { ...settings, tcpTwReuse: undefined } }],
    ['ephemeral_port_tcp_timestamps', { settings: { ...settings, tcpTimestamps: undefined } }],
    [
      'ephemeral_port_tcp_tw_reuse_delay_seconds',
      { settings: { ...settings, tcpTwReuseDelaySeconds: undefined } },
    ],
    [
      'ephemeral_port_tcp_max_tw_buckets',
      { settings: { ...settings, tcpMaxTwBuckets: undefined } },
    ],
    ['ephemeral_port_ip_autobind_reuse', { settings: { ...settings, autobindReuse: undefined } }],
    [
      'ephemeral_port_ip_local_port_step_width',
      { settings: { ...settings, portStepWidth: undefined } },
    ],
    ['ephemeral_port_connections_opened_total', { connectionsOpened: undefined }],
    ['ephemeral_port_time_wait_recycled_total', { timeWaitRecycled: undefined }],
    ['ephemeral_port_time_wait_release_ports', { timeWaitRelease: [] }],
    ['ephemeral_port_listener_info', { listeners: [] }],
    ['ephemeral_port_sockets', { protocols: [] }],
    ['ephemeral_port_destinations', { destinations: undefined }],
    ['ephemeral_port_destination_used_ports', { destinations: undefined }],
    ['ephemeral_port_destination_time_wait_ports', { destinations: undefined }],
    ['ephemeral_port_destination_utilization_ratio', { destinations: undefined }],
    ['ephemeral_port_owner_used_ports', { owners: undefined }],
    ['ephemeral_port_exhaustion_risk_ratio', { pools: [{ ...pool, riskRatio: undefined }] }],
    ['ephemeral_port_exhaustion_eta_seconds', { pools: [{ ...pool, etaSeconds: undefined }] }],
    [
      'ephemeral_port_exhaustion_eta_seconds',
      { pools: [{ ...pool, etaSeconds: Number.POSITIVE_INFINITY }] },
    ],
    ['ephemeral_port_exhaustion_risk_ratio', { pools: [{ ...pool, riskRatio: Number.NaN }] }],
    [
      'ephemeral_port_pool_reclaimable_ports',
      { pools: [{ ...pool, reclaimablePorts: undefined }] },
    ],
    ['ephemeral_port_pool_slow', { pools: [{ ...pool, slow: undefined }] }],
    [
      'ephemeral_port_pool_worst_destination_info',
      { pools: [{ ...pool, worstDestination: undefined }] },
    ],
  ])('%s is absent, with its HELP, for %o', async (name, changes) => {
    const known = await renderFamilies(sampleSnapshot, sampleBuild, 'text')
    expect(known).toMatch(new RegExp(`^${name}\\{`, 'm'))
    const page = await renderFamilies(snapshotWith(changes), sampleBuild, 'text')
    expect(page).not.toMatch(new RegExp(`^(# HELP )?${name}[{ ]`, 'm'))
    expect(page).toContain('ephemeral_port_netns_success{netns="host"} 1')
  })

  test('destinations without a rest have no row `other`', async () => {
    const { destinations } = sampleState
    if (destinations === undefined) throw new Error('The sample has no destinations')
    const snapshot = snapshotWith({ destinations: { ...destinations, other: undefined } })
    const samples = await samplesOf(snapshot, /destination_(used|time_wait)_ports/)
    expect(samples.split('\n')).toHaveLength(4)
    expect(samples).not.toContain('other')
  })

  test('a range without a usable port is full', async () => {
    const snapshot = snapshotWith({ settings: { ...settings, usablePorts: 0 } })
    expect(await samplesOf(snapshot, /range_utilization/)).toMatch(/protocol="tcp"} 1\n/)
  })
})
