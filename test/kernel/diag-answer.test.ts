import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeDatagram } from '../../src/kernel/diag-answer.ts'
import { createDumpBatch, dumpSockets } from '../../src/kernel/diag-channel.ts'
import { createSocketBatch, DecodeError, FLAG, SourceError, STATE } from '../../src/observation.ts'
import { wireSocket } from '../support/kernel/arbitrary-sockets.ts'
import { createFakeChannel, sequenceOf } from '../support/kernel/fake-channel.ts'
import {
  buildAttribute,
  buildDatagrams,
  buildDone,
  buildError,
  buildMessage,
  buildSocket,
  plainSocket,
  type WireSocket,
} from '../support/kernel/netlink-builder.ts'

const SEQUENCE = 5
const filter = { range: { first: 1, last: 65535 }, choice: 'auto', states: 0x3ffe } as const

/** The row as the wire had it. */
function expectRow(socket: WireSocket, protocol: 'tcp' | 'udp') {
  const words = (bytes: readonly number[]) => {
    const mapped = bytes.length === 4 ? [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...bytes] : bytes
    const view = new DataView(Uint8Array.from(mapped).buffer)
    return [0, 4, 8, 12].map((at) => view.getUint32(at, false))
  }
  const udp = protocol === 'udp'
  const state =
    socket.state === 7
      ? STATE.bound
      : socket.state === 12
        ? STATE.synRecv
        : udp && socket.state !== 1
          ? STATE.bound
          : socket.state
  return {
    state,
    flags: (socket.v6only ? FLAG.ipv6Only : 0) | (socket.timer === 3 ? FLAG.minisock : 0),
    localPort: socket.localPort,
    remotePort: socket.remotePort,
    local: words(socket.local),
    remote: words(socket.remote),
    device: socket.device,
    expiresMs: socket.timer === 3 ? socket.expiresMs : 0,
    uid: socket.uid,
    cgroupId: socket.cgroupId ?? 0,
    inode: state === STATE.listen || state === STATE.bound ? 4242 : 0,
  }
}

function readRows(datagrams: readonly Uint8Array[], protocol: 'tcp' | 'udp' = 'tcp') {
  const channel = createFakeChannel(() => datagrams)
  const question = { kind: 'family', family: 2, protocol } as const
  const rows: ReturnType<typeof expectRow>[] = []
  for (const batch of dumpSockets(channel, question, filter, createDumpBatch())) {
    for (let row = 0; row < batch.length; row++) {
      rows.push({
        state: batch.state[row] ?? -1,
        flags: batch.flags[row] ?? -1,
        localPort: batch.localPort[row] ?? -1,
        remotePort: batch.remotePort[row] ?? -1,
        local: [...batch.localAddress.subarray(row * 4, row * 4 + 4)],
        remote: [...batch.remoteAddress.subarray(row * 4, row * 4 + 4)],
        device: batch.device[row] ?? -1,
        expiresMs: batch.expiresMs[row] ?? -1,
        uid: batch.uid[row] ?? -1,
        cgroupId: batch.cgroupId[row] ?? -1,
        inode: batch.inode[row] ?? -1,
      })
    }
  }
  return rows
}

/** The sequence that dumpSockets() gives this question. */
function sequence(): number {
  const channel = createFakeChannel(() => [])
  const question = { kind: 'family', family: 2, protocol: 'tcp' } as const
  expect(() => [...dumpSockets(channel, question, filter, createDumpBatch())]).toThrow(SourceError)
  return sequenceOf(channel.requests[0] ?? new Uint8Array(16))
}

describe('dumpSockets()', () => {
  test('gives every column of a socket', () => {
    const datagrams = buildDatagrams(
      [buildSocket(plainSocket, sequence()), buildDone(sequence())],
      9,
    )
    expect(readRows(datagrams)).toEqual([expectRow(plainSocket, 'tcp')])
  })

  test('gives back what an independent encoder wrote, however it is cut into datagrams', () => {
    fc.assert(
      fc.property(
        fc.array(wireSocket, { maxLength: 40 }),
        fc.integer({ min: 1, max: 12 }),
        (sockets, perDatagram) => {
          const messages = [
            ...sockets.map((s) => buildSocket(s, sequence())),
            buildDone(sequence()),
          ]
          expect(readRows(buildDatagrams(messages, perDatagram))).toEqual(
            sockets.map((socket) => expectRow(socket, 'tcp')),
          )
        },
      ),
    )
  })

  test('survives any prefix of a dump with sockets, a decode error or a time-out', () => {
    const sockets = fc.sample(wireSocket, { numRuns: 3, seed: 1 })
    const whole = Uint8Array.from([
      ...sockets.flatMap((s) => buildSocket(s, sequence())),
      ...buildDone(sequence()),
    ])
    for (let length = 0; length < whole.length; length++) {
      expectOnlyOurErrors(() => readRows([whole.subarray(0, length)]))
    }
  })

  test('survives any corruption of a dump with sockets, a decode error or a refusal', () => {
    fc.assert(
      fc.property(
        fc.array(wireSocket, { minLength: 1, maxLength: 5 }),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }),
        (sockets, damage) => {
          const bytes = Uint8Array.from([
            ...sockets.flatMap((s) => buildSocket(s, sequence())),
            ...buildDone(sequence()),
          ])
          for (const [at, value] of damage) bytes[at % bytes.length] = value
          expectOnlyOurErrors(() => readRows([bytes]))
        },
      ),
      { numRuns: 500 },
    )
  })

  test('names the reason when the kernel refuses', () => {
    const refused = (errno: number) => readRows([Uint8Array.from(buildError(sequence(), errno))])
    expect(() => refused(1)).toThrow(expect.objectContaining({ reason: 'permission' }))
    expect(() => refused(2)).toThrow(expect.objectContaining({ reason: 'unsupported' }))
    expect(() => refused(2)).toThrow(
      'Cannot read tcp sockets from netlink: dump of tcp sockets: ENOENT',
    )
  })

  test('takes a failed end of a dump for a failure', () => {
    expect(() => readRows([Uint8Array.from(buildDone(sequence(), 12))])).toThrow(
      expect.objectContaining({ reason: 'exhausted' }),
    )
  })

  test('times out when the end of the dump never comes', () => {
    expect(() => readRows([Uint8Array.from(buildSocket(plainSocket, sequence()))])).toThrow(
      expect.objectContaining({ reason: 'timeout' }),
    )
  })

  test('skips left-overs of another dump, unknown messages and unknown families', () => {
    const strange = buildSocket(plainSocket, sequence())
    strange[16] = 17
    const messages = [
      buildDone(sequence() + 1),
      buildError(sequence() + 1, 1),
      buildSocket(plainSocket, sequence() + 1),
      buildMessage(99, sequence(), [1, 2, 3, 4]),
      buildError(sequence(), 0),
      strange,
      buildSocket(plainSocket, sequence(), 18),
      buildDone(sequence()),
    ]
    expect(readRows(buildDatagrams(messages, 3))).toEqual([expectRow(plainSocket, 'tcp')])
  })
})

describe('decodeDatagram() refuses', () => {
  const decode = (bytes: readonly number[]) =>
    decodeDatagram(Uint8Array.from(bytes), SEQUENCE, createSocketBatch(10))
  const socket = buildSocket(plainSocket, SEQUENCE)
  const patch = (at: number, ...values: number[]) => {
    const bytes = [...socket]
    bytes.splice(at, values.length, ...values)
    return bytes
  }

  test.each([
    [
      'a header that is cut',
      socket.slice(0, 15),
      'Cannot decode netlink header: 15 bytes left, need 16 (at offset 0)',
    ],
    [
      'a length below the header',
      patch(0, 15, 0, 0, 0),
      'Cannot decode netlink message: length 15 of 116 bytes (at offset 0)',
    ],
    [
      'a length of zero',
      patch(0, 0, 0, 0, 0),
      'Cannot decode netlink message: length 0 of 116 bytes (at offset 0)',
    ],
    [
      'a length beyond the datagram',
      patch(0, 200, 0, 0, 0),
      'Cannot decode netlink message: length 200 of 116 bytes (at offset 0)',
    ],
    [
      'a fixed part that is cut',
      buildMessage(20, SEQUENCE, new Array<number>(71).fill(2)),
      'Cannot decode socket: 71 bytes, need 72 (at offset 16)',
    ],
    [
      'an attribute below its header',
      patch(88, 3, 0),
      'Cannot decode netlink attribute: length 3 of 28 bytes (at offset 88)',
    ],
    [
      'an attribute of length zero',
      patch(88, 0, 0),
      'Cannot decode netlink attribute: length 0 of 28 bytes (at offset 88)',
    ],
    [
      'an attribute beyond the message',
      patch(88, 90, 0),
      'Cannot decode netlink attribute: length 90 of 28 bytes (at offset 88)',
    ],
  ])('%s', (_quirk, bytes, message) => {
    expect(() => decode(bytes)).toThrow(
      new DecodeError(message.replace(/ \(at.*/, ''), offsetIn(message)),
    )
  })
})

function offsetIn(message: string): number {
  return Number(/at offset (\d+)/.exec(message)?.[1])
}

function expectOnlyOurErrors(read: () => unknown): void {
  try {
    read()
  } catch (error) {
    if (!(error instanceof DecodeError || error instanceof SourceError)) throw error
  }
}

describe('decodeDatagram() reads attributes no further than they go', () => {
  const bare = { ...plainSocket, v6only: undefined, cgroupId: undefined }
  function decodeWith(attribute: readonly number[], protocol: 'tcp' | 'udp' = 'tcp', state = 1) {
    const batch = createSocketBatch(1)
    batch.protocol = protocol
    const body = buildSocket({ ...bare, state }, SEQUENCE).slice(16, 88)
    decodeDatagram(
      Uint8Array.from(buildMessage(20, SEQUENCE, [...body, ...attribute])),
      SEQUENCE,
      batch,
    )
    return { flags: batch.flags[0], cgroupId: batch.cgroupId[0], state: batch.state[0] }
  }

  test('of IPV6_V6ONLY and of the cgroup one that is too short says nothing', () => {
    // Behind each lies another, whose bytes would be taken for its value.
    const next = buildAttribute(99, [1, 1, 1, 1, 1, 1, 1, 1])
    expect(decodeWith([...buildAttribute(11, []), ...next]).flags).toBe(0)
    expect(decodeWith([...buildAttribute(21, [1, 1, 1, 1]), ...next]).cgroupId).toBe(0)
    expect(decodeWith([...buildAttribute(99, [1, 1, 1, 1, 1, 1, 1, 1])]).cgroupId).toBe(0)
    expect(decodeWith(buildAttribute(11, [1])).flags).toBe(FLAG.ipv6Only)
    expect(decodeWith(buildAttribute(21, [7, 0, 0, 0, 1, 0, 0, 0])).cgroupId).toBe(2 ** 32 + 7)
  })

  test('a state that is not known yet', () => {
    expect(decodeWith([], 'tcp', 13).state).toBe(STATE.unknown)
    expect(decodeWith([], 'udp', 1).state).toBe(STATE.established)
    expect(decodeWith([], 'udp', 2).state).toBe(STATE.bound)
  })
})
