import { expect, test } from 'vitest'
import {
  forgetRead,
  noteBound,
  noteFailing,
  noteRead,
  noteReadError,
  noteTry,
  startLastRead,
} from '../../src/worker/last-read.ts'
import { buildState } from '../support/render/cli-snapshot.ts'

const ports = { range: { first: 40_000, last: 40_099 }, reservedText: '' }
const destination = (port: number) => ({ source: '10.0.0.5', destination: `10.0.0.9:${port}` })

test('a read says what it found, and that nothing is refused since', () => {
  const last = startLastRead()
  const state = buildState()
  noteTry(last, 5)
  noteFailing(last, [destination(443)], 6)
  noteRead(last, { model: undefined, state, ports, pod: undefined }, 7)
  expect(last).toMatchObject({
    ...{ state, ports, refused: [], readError: undefined },
    ...{ triedAtSeconds: 5, failedAtSeconds: 6, readAtSeconds: 7, rangeAtSeconds: 7 },
  })
})

test('the last sixteen refused destinations are kept until the next read, the newest first', () => {
  const last = startLastRead()
  noteFailing(
    last,
    Array.from({ length: 15 }, (_, port) => destination(port)),
    1,
  )
  noteFailing(last, [destination(100), destination(101)], 2)
  expect(last.refused).toHaveLength(16)
  expect(last.refused.slice(0, 3)).toEqual([100, 101, 0].map(destination))
  expect(last.refused.at(-1)).toEqual(destination(13))
})

test('what is not read any more is forgotten, but for its bound and its failures', () => {
  const last = startLastRead()
  noteRead(last, { model: undefined, state: buildState(), ports, pod: undefined }, 7)
  noteReadError(last, { reason: 'vanished', message: '' })
  noteBound(last, 12)
  noteFailing(last, [], 8)
  forgetRead(last)
  expect(last).toMatchObject({
    ...{ model: undefined, state: undefined, readError: undefined, readAtSeconds: undefined },
    ...{ boundPorts: 12, failedAtSeconds: 8, ports },
  })
})
