import { expect, test } from 'vitest'
import { parseGoneEvents } from '../../src/kernel/trace-ring-stats.ts'
import { DecodeError } from '../../src/observation.ts'

const text = `entries: 181
overrun: 2862
commit overrun: 5
bytes: 492
oldest event ts: 13397.066145
now ts: 13397.199540
dropped events: 9
read events: 42
`

test('parseGoneEvents() adds what was overwritten to what was read, and not what still waits', () => {
  expect(parseGoneEvents(text)).toBe(2904)
})

test.each(['overrun', 'read events'])('parseGoneEvents() refuses a text without %s', (name) => {
  const without = text.replace(new RegExp(`^${name}: .*\n`, 'm'), '')
  expect(() => parseGoneEvents(without)).toThrow(DecodeError)
  expect(() => parseGoneEvents(without)).toThrow(`no count of "${name}"`)
})

test('parseGoneEvents() refuses a count below 0', () => {
  expect(() => parseGoneEvents(text.replace('read events: 42', 'read events: -1'))).toThrow(
    'no count of "read events"',
  )
})
