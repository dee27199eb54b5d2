import { expect, test } from 'vitest'
import { diagnose } from '../../src/diagnosis/diagnose.ts'
import type { ConntrackState, Pool } from '../../src/snapshot.ts'
import {
  buildNamespace,
  buildPool,
  buildSnapshot,
  buildState,
  linux,
} from '../support/render/cli-snapshot.ts'
import { COUNTS } from './conntrack-course.ts'

/** A namespace that counts this, beside one with that pool. */
const two = (conntrack: ConntrackState, pool: Pool) =>
  buildSnapshot({
    namespaces: [
      buildNamespace({ netns: 'pod/a', netnsKind: 'pod', conntrack }),
      buildNamespace({
        netns: 'pod/b',
        netnsKind: 'pod',
        state: buildState({ pools: [pool] }),
      }),
    ],
  })

test.each<[string, Partial<Pool>]>([
  ['1 of 2 namespaces drops packets and may lack NAT ports', {}],
  ['1 of 2 namespaces drops packets and may lack NAT ports', { slow: true }],
  ['1 of 2 namespaces is about to run out of ports', { riskRatio: 0.9, etaSeconds: 60 }],
  ['1 of 2 namespaces has no port left', { availablePorts: 0 }],
])('%s', (headline, part) => {
  const pool = buildPool(part)
  const now = two(
    {
      ...COUNTS,
      collisions: COUNTS.collisions + 900,
      insertFailed: COUNTS.insertFailed + 3,
      dropped: COUNTS.dropped + 3,
    },
    pool,
  )
  const diagnosis = diagnose(now, linux, two(COUNTS, pool))
  expect(diagnosis).toMatchObject({ headline, dropping: [], doubted: ['pod/a'] })
  expect(diagnosis.severity).not.toBe('ok')
})
