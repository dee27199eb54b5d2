// What the command line prints, as whole texts: `npm run golden` renews them.

import { describe, expect, test } from 'vitest'
import { renderDoctor } from '../../src/cli/doctor.ts'
import { renderStatus } from '../../src/cli/status.ts'
import { diagnose } from '../../src/diagnosis/diagnose.ts'
import type { Snapshot } from '../../src/snapshot.ts'
import { noneHeld } from '../support/netns/namespace.ts'
import {
  buildHost,
  buildNamespace,
  buildPool,
  buildSnapshot,
  linux,
  upstream,
} from '../support/render/cli-snapshot.ts'
import { sampleSnapshot } from '../support/render/sample-snapshot.ts'

const failure = { reason: 'permission', message: 'Cannot open netlink: EPERM' } as const
const leak = buildHost({
  pools: [
    buildPool({
      availablePorts: 0,
      worstDestination: upstream,
      heldPorts: { ...noneHeld, close_wait: 28_000, established: 232 },
      cause: {
        cause: 'close_wait',
        ports: 28_000,
        owners: [{ owner: 'payments.service', ownerKind: 'unit', ports: 28_000 }],
      },
    }),
    buildPool({ pool: 'udp' }),
  ],
})
const snapshots: readonly (readonly [name: string, snapshot: Snapshot])[] = [
  ['quiet', buildSnapshot()],
  ['leak', leak],
  ['sample', sampleSnapshot],
  ['unread', buildSnapshot({ namespaces: [buildNamespace({ state: undefined, failure })] })],
]

describe.each(snapshots)('%s', (name, snapshot) => {
  const diagnosis = diagnose(snapshot, linux)

  test('status', async () => {
    const text = renderStatus({ snapshot, diagnosis, origin: 'sampled by this command' })
    await expect(text).toMatchFileSnapshot(`golden/status-${name}.txt`)
  })

  test('doctor', async () => {
    await expect(renderDoctor(diagnosis)).toMatchFileSnapshot(`golden/doctor-${name}.txt`)
  })
})
