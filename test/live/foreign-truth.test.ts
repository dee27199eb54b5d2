// The truth test of the host inside another namespace, which the program reads through setns: what the page promises about
// it, and then what the kernel really grants there.

import { statSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { withNetns } from '../support/netns/actor.ts'
import { whyNotExact } from '../support/netns/live.ts'
import { describeMix, makeMix } from '../support/netns/mix.ts'
import { proveAll } from '../support/netns/mix-proof.ts'
import { depth } from '../support/program/depth.ts'
import { type NodeExporter, withNodeExporter } from '../support/program/node-page.ts'

const FLAGS = [
  '--sample.interval=100ms',
  '--sample.cpu-budget=1',
  '--detail.min-utilization=0',
  '--top=1000',
]
const SEEDS = Array.from({ length: depth(12, 2) }, (_, index) => 301 + index)
const skipReason = whyNotExact()

describe('another namespace', () => {
  let exporter: NodeExporter
  let finish = () => {}
  let finished: Promise<void> | undefined
  beforeAll(async () => {
    if (skipReason !== undefined) return
    await new Promise<void>((resolve, reject) => {
      finished = withNodeExporter(FLAGS, async (started) => {
        exporter = started
        await started.until((page) => page.list('ephemeral_port_netns_success')[0])
        resolve()
        await new Promise<void>((end) => {
          finish = end
        })
      })
      finished.catch(reject)
    })
  })
  afterAll(async () => {
    finish()
    await finished
  })

  test.for(SEEDS)('seed %i: exactly as predicted from outside', async (seed, context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const { mix, proofs, contradictions } = await withNetns(async (netns) => {
      const name = `inode/${statSync(`/proc/${netns.pid}/ns/net`).ino}`
      // The program has read the settings before there are sockets: it judges TIME_WAITs by those of the time they began.
      const watch = async () => {
        await exporter.readFreshOf(name)
      }
      const made = await makeMix(netns, { seed, kind: 'even', watch })
      return { mix: made, ...(await proveAll(netns, () => exporter.readFreshOf(name))) }
    })
    const wrong = proofs.filter(
      ({ predicted, granted, unseen = 0 }) => granted > predicted || granted < predicted - unseen,
    )
    expect([...wrong, ...contradictions], describeMix(mix)).toEqual([])
    expect(new Set(proofs.map(({ pool }) => pool)).size).toBe(3)
  })
})
