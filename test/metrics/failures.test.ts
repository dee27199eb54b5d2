import { describe, expect, test } from 'vitest'
import type { AllocationFailures } from '../../src/snapshot.ts'
import { buildNamespace } from '../support/netns/namespace.ts'
import { sampleSnapshot } from '../support/render/sample-snapshot.ts'
import { samplesOf } from './samples-of.ts'

const failures: AllocationFailures = {
  pools: [{ pool: 'tcp_connect', total: 7 }],
  destinations: [{ destination: '[fd00::9]:5432', owner: 'shop.service', total: 5 }],
}

describe('failure families', () => {
  test('one series a namespace and pool, one a pair', async () => {
    const page = await samplesOf(sampleSnapshot, /allocation_failures/)
    expect(page.split('\n')).toEqual([
      'ephemeral_port_allocation_failures_total{netns="host",pool="tcp_connect"} 42',
      'ephemeral_port_destination_allocation_failures_total{netns="host",destination="10.0.0.9:443",owner="checkout.service"} 40',
      'ephemeral_port_destination_allocation_failures_total{netns="host",destination="other",owner="other"} 2',
    ])
  })

  test('a total of 0 is published, and what cannot be observed is absent', async () => {
    const none: AllocationFailures = {
      pools: [{ pool: 'tcp_connect', total: 0 }],
      destinations: [],
    }
    const namespaces = [
      buildNamespace({ netns: 'host', allocationFailures: none }),
      buildNamespace({ netns: 'inode/7' }),
    ]
    const page = await samplesOf({ ...sampleSnapshot, namespaces }, /allocation_failures/)
    expect(page).toBe('ephemeral_port_allocation_failures_total{netns="host",pool="tcp_connect"} 0')
  })

  test('go on while the sockets of their namespace cannot be read', async () => {
    const failure = { reason: 'timeout', message: 'No answer' } as const
    const namespaces = [buildNamespace({ failure, allocationFailures: failures })]
    const page = await samplesOf({ ...sampleSnapshot, namespaces }, /allocation_failures/)
    expect(page.split('\n')).toHaveLength(2)
  })

  test('name the namespace unknown where nothing tells it', async () => {
    const snapshot = { ...sampleSnapshot, namespaces: [], unattributedFailures: failures }
    expect((await samplesOf(snapshot, /allocation_failures/)).split('\n')).toEqual([
      'ephemeral_port_allocation_failures_total{netns="unknown",pool="tcp_connect"} 7',
      'ephemeral_port_destination_allocation_failures_total{netns="unknown",destination="[fd00::9]:5432",owner="shop.service"} 5',
    ])
  })
})

describe('probe families', () => {
  test('success and duration a pool', async () => {
    expect((await samplesOf(sampleSnapshot, /_probe_/)).split('\n')).toEqual([
      'ephemeral_port_probe_success{netns="host",pool="tcp_bind"} 1',
      'ephemeral_port_probe_success{netns="host",pool="udp"} 0',
      'ephemeral_port_probe_duration_seconds{netns="host",pool="tcp_bind"} 0.000025',
      'ephemeral_port_probe_duration_seconds{netns="host",pool="udp"} 0.0165',
    ])
  })

  test('are absent where nothing was tried', async () => {
    const namespaces = [buildNamespace()]
    expect(await samplesOf({ ...sampleSnapshot, namespaces }, /_probe_/)).toBe('')
  })
})
