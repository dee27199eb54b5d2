import { describe, expect, test } from 'vitest'
import { isListenerTrusted } from '../../src/cli/listener.ts'

const asker = { platform: 'linux', geteuid: () => 1000 }

function ask(uids: readonly number[] | Error): boolean {
  return isListenerTrusted(10_132, asker, {
    readUids: (port) => {
      expect(port).toBe(10_132)
      if (uids instanceof Error) throw uids
      return uids
    },
    readLink: (path) => {
      if (path === '/run/systemd/dynamic-uid/direct:64000') return 'ephemeral-port-exporter'
      if (path === '/run/systemd/dynamic-uid/direct:64001') return 'another'
      throw new Error('ENOENT')
    },
  })
}

describe('isListenerTrusted()', () => {
  test.each<[string, readonly number[]]>([
    ['root', [0]],
    ['the asker', [1000]],
    ['the user of the unit', [64_000]],
    ['all of them together', [0, 1000, 64_000]],
  ])('believes %s', (_name, uids) => expect(ask(uids)).toBe(true))

  test.each<[string, readonly number[] | Error]>([
    ['another user', [1001]],
    ['the user of another unit', [64_001]],
    ['another user beside root', [0, 1001]],
    ['nobody', []],
    ['what cannot be looked at', new Error('Cannot decode /proc/net/tcp')],
  ])('does not believe %s', (_name, uids) => expect(ask(uids)).toBe(false))

  test('knows nobody by a missing user id', () => {
    const files = { readUids: () => [1001], readLink: () => '' }
    expect(isListenerTrusted(10_132, { platform: 'linux' }, files)).toBe(false)
  })

  test('cannot tell on other platforms', () => {
    expect(isListenerTrusted(10_132, { platform: 'darwin', geteuid: () => 501 })).toBe(true)
  })
})
