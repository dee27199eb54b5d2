import { describe, expect, test } from 'vitest'
import { createFailureLog } from '../src/failure-log.ts'
import type { Log } from '../src/log.ts'
import type { ReadErrorReason } from '../src/observation.ts'
import type { Snapshot } from '../src/snapshot.ts'
import { buildNamespace } from './support/netns/namespace.ts'
import { sampleSnapshot } from './support/render/sample-snapshot.ts'

/** Plays Snapshots, each by what fails in it, and returns the lines of each. */
function createPlay() {
  const lines: string[] = []
  const write =
    (level: string): Log['info'] =>
    (message, fields) =>
      lines.push(`${level}: ${message} ${JSON.stringify(fields)}`)

  const tell = createFailureLog({
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  })
  return (part: Partial<Pick<Snapshot, 'namespaces' | 'collectors' | 'absences'>>): string[] => {
    lines.length = 0
    tell({ ...sampleSnapshot, namespaces: [], collectors: [], absences: [], ...part })
    return [...lines]
  }
}

const netns = (message?: string, reason: ReadErrorReason = 'permission') => ({
  namespaces: [
    buildNamespace({ failure: message === undefined ? undefined : { reason, message } }),
  ],
})
const collector = (problem?: string) => ({
  collectors: [
    { collector: 'failures', success: problem === undefined, durationSeconds: 0, problem },
  ],
})

describe('createFailureLog()', () => {
  test('says once that a namespace cannot be read, again for another reason, and when it can', () => {
    const play = createPlay()
    const told = [undefined, 'EPERM', 'EPERM', 'EACCES', undefined, undefined].map((message) =>
      play(netns(message)),
    )
    expect(told).toEqual([
      [],
      ['warn: Sockets cannot be read {"netns":"host","reason":"EPERM"}'],
      [],
      ['warn: Sockets cannot be read {"netns":"host","reason":"EACCES"}'],
      ['info: Sockets can be read again {"netns":"host"}'],
      [],
    ])
  })

  test('says nothing of a namespace that ends while it is read', () => {
    expect(createPlay()(netns('ENOENT', 'vanished'))).toEqual([])
  })

  test('warns where it is more than a right that was never there', () => {
    expect(createPlay()(netns('EPERM'))[0]).toMatch(/^info: /)
    expect(createPlay()(netns('garbled', 'malformed'))[0]).toMatch(/^warn: /)
  })

  test('forgets a namespace that is gone: the next of that name is another', () => {
    const play = createPlay()
    play(netns('EPERM'))
    expect(play({})).toEqual([])
    expect(play(netns())).toEqual([])
    expect(play(netns('EPERM'))).toHaveLength(1)
  })

  test('says once that a collector does not work, and when it does', () => {
    const play = createPlay()
    const told = [undefined, 'no tracefs', 'no tracefs', undefined].map((problem) =>
      play(collector(problem)),
    )
    expect(told).toEqual([
      [],
      ['warn: Collector does not work {"collector":"failures","reason":"no tracefs"}'],
      [],
      ['info: Collector works again {"collector":"failures"}'],
    ])
  })

  test('says once, and not as a warning, that a collector is not permitted', () => {
    const play = createPlay()
    const absences = [{ collector: 'failures', reason: 'no tracefs' }]
    expect([play({ absences }), play({ absences }), play(collector())]).toEqual([
      ['debug: A collector is not permitted here {"collector":"failures","reason":"no tracefs"}'],
      [],
      [],
    ])
  })

  test('says of many that may not be read how many there are, in one line', () => {
    const play = createPlay()
    const namespaces = Array.from({ length: 33 }, (_, i) =>
      buildNamespace({ netns: `n${i}`, failure: { reason: 'permission', message: `no n${i}` } }),
    )
    expect(play({ namespaces })).toEqual([
      'info: Sockets cannot be read {"namespaces":33,"netns":"n0","reason":"no n0"}',
    ])
    expect(play({ namespaces })).toEqual([])
  })

  test('tells several from each other', () => {
    const play = createPlay()
    const namespaces = ['a', 'b'].map((name) =>
      buildNamespace({ netns: name, failure: { reason: 'permission', message: `no ${name}` } }),
    )
    expect(play({ ...collector('no tracefs'), namespaces })).toHaveLength(3)
    expect(play({ ...collector('no tracefs'), namespaces: namespaces.slice(1) })).toEqual([])
    expect(play({ ...collector(), namespaces })).toEqual([
      'info: Sockets cannot be read {"netns":"a","reason":"no a"}',
      'info: Collector works again {"collector":"failures"}',
    ])
  })
})
