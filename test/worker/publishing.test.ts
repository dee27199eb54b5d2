import { expect, test } from 'vitest'
import type { DropSignature } from '../../src/snapshot.ts'
import { publishAll } from '../../src/worker/publishing.ts'
import { startWatching } from '../../src/worker/watched.ts'
import { buildNetNamespace } from '../support/netns/net-namespace.ts'
import { buildState } from '../support/render/cli-snapshot.ts'

test('publishAll() says all of a namespace that drops packets, however few its entries are', () => {
  const one = startWatching(buildNetNamespace({ id: 2, own: false }), 0)
  one.identity.name = { netns: 'named/gate', netnsKind: 'named' }
  Object.assign(one.last, { state: buildState() })
  const isDetailed = (dropSignature: DropSignature | undefined) => {
    one.last.nat.conntrack = {
      ...{ entries: 100, limitEntries: 262_144, collisions: 68, insertFailed: 1, dropped: 1 },
      ...{ clashesResolved: 0, dropSignature, translatesIpv6: false },
    }
    const [row] = publishAll([one], { detailMinUtilization: 0.2 })
    return typeof row === 'string' ? row : row?.detailed
  }
  expect(isDetailed(undefined)).toBe(false)
  expect(isDetailed('unclear')).toBe(true)
})
