import { expect, test } from 'vitest'
import { describeDoubt } from '../../src/model/closed-ports.ts'
import { createReading, plainSettings } from '../support/kernel/readings.ts'
import { account, connection, PORT, tcp } from './accounts.ts'

test('describeDoubt() counts what can be handed out, and lists what cannot be told', () => {
  const listener = { ...connection, state: 10, local: [0, 0, 0, 0], remote: [0, 0, 0, 0] }
  const settings = { ...plainSettings, reserved: [{ first: 40_019, last: 40_019 }] }
  const { census } = account(
    tcp(connection, { ...listener, localPort: 40_001, remotePort: 0 }),
    settings,
  )
  const reading = createReading([], settings)
  const seen = describeDoubt(census, reading)
  expect(seen).toMatchObject({
    ambiguous: [PORT],
    unseen: [],
    capacityPorts: 19,
    unusedPorts: 17,
  })
  expect([...seen.marks().keys()]).toEqual([PORT])
  const blind = describeDoubt(census, { ...reading, tcpBoundKnown: false })
  const open = Array.from({ length: 19 }, (_, at) => 40_000 + at)
  expect(blind.unseen).toEqual(open.filter((port) => port !== PORT && port !== 40_001))
})
