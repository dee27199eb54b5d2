import { describe, expect, test } from 'vitest'
import { createDumpBatch, dumpSockets, openDiagChannel } from '../../src/kernel/diag-channel.ts'
import type { DumpFilter, DumpQuestion } from '../../src/kernel/diag-request.ts'
import { type Libc, SystemError } from '../../src/kernel/libc.ts'
import { DATAGRAM_BYTES, type NetlinkChannel } from '../../src/kernel/netlink-channel.ts'
import { DecodeError, SourceError } from '../../src/observation.ts'
import { createFakeChannel, sequenceOf } from '../support/kernel/fake-channel.ts'
import { createFakeKernel } from '../support/kernel/fake-kernel.ts'
import { constant } from '../support/kernel/layout.ts'
import { buildDone, buildSocket, plainSocket } from '../support/kernel/netlink-builder.ts'

const EVERY: DumpFilter = { range: { first: 1, last: 65_535 }, choice: 'any', states: 0x3ffe }
const V4_TCP: DumpQuestion = { kind: 'family', family: 2, protocol: 'tcp' }
const HEADER_AND_FIXED_PART = 88

/** Sockets without an attribute, the shortest the kernel can write, one for each port from 1 on. */
function* buildBareSockets(count: number, sequence: number): Generator<readonly number[]> {
  for (let localPort = 1; localPort <= count; localPort++) {
    const whole = buildSocket({ ...plainSocket, localPort }, sequence)
    yield [HEADER_AND_FIXED_PART, ...whole.slice(1, HEADER_AND_FIXED_PART)]
  }
}

function listPorts(
  channel: NetlinkChannel,
  question: DumpQuestion = V4_TCP,
  filter = EVERY,
): number[] {
  const ports: number[] = []
  for (const batch of dumpSockets(channel, question, filter, createDumpBatch())) {
    ports.push(...batch.localPort.subarray(0, batch.length))
  }
  return ports
}

describe('createDumpBatch()', () => {
  test('has room for every socket of the fullest datagram there can be', () => {
    const most = Math.floor(DATAGRAM_BYTES / HEADER_AND_FIXED_PART)
    const datagrams = 9
    const channel = createFakeChannel((request) => {
      const sequence = sequenceOf(request)
      const full = Uint8Array.from([...buildBareSockets(most, sequence)].flat())
      return [
        ...Array.from({ length: datagrams }, () => full),
        Uint8Array.from(buildDone(sequence)),
      ]
    })
    const ports = Array.from({ length: most }, (_, at) => at + 1)
    expect(listPorts(channel)).toEqual(Array.from({ length: datagrams }, () => ports).flat())
  })
})

describe('openDiagChannel()', () => {
  /** Its recv() writes what fits of `datagram` and says how long all of it is, as MSG_TRUNC asks for. */
  function createReceiver(datagram: Uint8Array): {
    libc: Libc
    kernel: Libc & { openSockets: ReadonlyMap<number, unknown> }
  } {
    const kernel = createFakeKernel()
    const libc: Libc = {
      ...kernel,
      recv: (_fd, buffer) => {
        buffer.set(datagram.subarray(0, buffer.length))
        return datagram.length
      },
    }
    return { libc, kernel }
  }

  test('gives a datagram that fills the buffer, and the bytes of a shorter one alone', () => {
    const bytes = Uint8Array.from([1, 2, 3, 4])
    const full = openDiagChannel(createReceiver(bytes).libc, new Uint8Array(4)).receive()
    const short = openDiagChannel(createReceiver(bytes).libc, new Uint8Array(9)).receive()
    expect([full, short]).toEqual([bytes, bytes])
  })

  test('refuses a datagram that the buffer has cut, of which sockets are missing', () => {
    const { libc } = createReceiver(new Uint8Array(5))
    const channel = openDiagChannel(libc, new Uint8Array(4))
    expect(() => channel.receive()).toThrow(
      expect.objectContaining({
        name: 'SourceError',
        reason: 'malformed',
        message: 'Cannot read netlink: a datagram of 5 bytes exceeds the buffer of 4',
      }),
    )
  })

  test('by itself receives datagrams of 64 KiB', () => {
    expect(openDiagChannel(createReceiver(new Uint8Array(65_536)).libc).receive()).toHaveLength(
      65_536,
    )
  })

  test('sends and receives on the socket it opened, and closes that', () => {
    const calls: unknown[][] = []
    const kernel = createFakeKernel()
    const libc: Libc = {
      ...kernel,
      send: (...values) => void calls.push(['send', ...values]),
      recv: (fd) => {
        calls.push(['recv', fd])
        return 0
      },
      close: (fd) => {
        calls.push(['close', fd])
        kernel.close(fd)
      },
    }
    const channel = openDiagChannel(libc)
    const [fd] = kernel.openSockets.keys()
    const request = Uint8Array.of(7)
    channel.send(request)
    channel.receive()
    channel.close()
    expect(calls).toEqual([
      ['send', fd, request],
      ['recv', fd],
      ['close', fd],
    ])
    expect(kernel.openSockets.size).toBe(0)
  })

  test('waits for one second', () => {
    const timeouts: unknown[] = []
    const libc: Libc = {
      ...createFakeKernel(),
      setsockopt: (_fd, level, option, value) => void timeouts.push([level, option, [...value]]),
    }
    openDiagChannel(libc)
    const second = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    expect(timeouts).toEqual([[constant('SOL_SOCKET'), constant('SO_RCVTIMEO'), second]])
  })

  test('leaves no socket open when it cannot be given its time-out', () => {
    const kernel = createFakeKernel()
    const error = new SystemError('setsockopt', 1)
    const libc: Libc = {
      ...kernel,
      setsockopt: () => {
        throw error
      },
    }
    expect(() => openDiagChannel(libc)).toThrow(error)
    expect(kernel.openSockets.size).toBe(0)
  })
})

describe('dumpSockets()', () => {
  const families = [2, 10]
  const questions: readonly DumpQuestion[] = [
    { kind: 'legacy' },
    ...families.flatMap((family) =>
      (['tcp', 'udp'] as const).map((protocol) => ({ kind: 'family' as const, family, protocol })),
    ),
  ]
  const asked = questions.flatMap((question) =>
    (['auto', 'explicit', 'any', 'explicit_or_idle'] as const).map((choice) => ({
      question,
      filter: { ...EVERY, choice },
    })),
  )

  test('gives each question of a sample a sequence of its own, and none 0', () => {
    const sequences = asked.map(({ question, filter }) => {
      const channel = createFakeChannel((request) => [
        Uint8Array.from(buildDone(sequenceOf(request))),
      ])
      listPorts(channel, question, filter)
      return sequenceOf(channel.requests[0] ?? new Uint8Array(16))
    })
    expect(new Set(sequences).size).toBe(asked.length)
    expect(sequences).not.toContain(0)
  })

  test.each([
    { choice: 'explicit_or_idle', ports: [1, 2, 3], leftOut: true },
    { choice: 'explicit', ports: [1, 2, 3, 4, 5], leftOut: false },
    { choice: 'auto', ports: [1, 2, 3, 4, 5], leftOut: false },
  ] as const)('of $choice leaves out connections to port 0: $leftOut', (wanted) => {
    const sockets = [
      { state: 10, remotePort: 0 },
      { state: 7, remotePort: 0 },
      { state: 1, remotePort: 443 },
      { state: 2, remotePort: 0 },
      { state: 1, remotePort: 0 },
    ]
    const channel = createFakeChannel((request) => [
      Uint8Array.from(
        sockets.flatMap((socket, at) =>
          buildSocket({ ...plainSocket, ...socket, localPort: at + 1 }, sequenceOf(request)),
        ),
      ),
      Uint8Array.from(buildDone(sequenceOf(request))),
    ])
    const filter = { ...EVERY, choice: wanted.choice }
    const dump = dumpSockets(channel, V4_TCP, filter, createDumpBatch())
    const { value: batch } = dump.next()
    if (typeof batch !== 'object') throw new Error('No batch')
    expect([...batch.localPort.subarray(0, batch.length)]).toEqual(wanted.ports)
    expect(batch.explicit).toBe(wanted.choice !== 'auto')
    expect(dump.next()).toEqual({ done: true, value: wanted.leftOut })
  })

  test('takes nothing from a dump that was abandoned for another question', () => {
    const most = Math.floor(DATAGRAM_BYTES / HEADER_AND_FIXED_PART)
    const pending: Uint8Array[] = []
    const channel: NetlinkChannel = {
      send: (request) => {
        const sequence = sequenceOf(request)
        const socket = (localPort: number) =>
          Uint8Array.from(buildSocket({ ...plainSocket, localPort }, sequence))
        // Of the first question the last datagrams are still under way when the second is asked.
        const first = pending.length === 0
        const full = () => Uint8Array.from([...buildBareSockets(most, sequence)].flat())
        pending.push(...(first ? Array.from({ length: 9 }, full) : [socket(4)]))
        pending.push(Uint8Array.from(buildDone(sequence)))
      },
      receive: () => pending.shift() ?? new Uint8Array(0),
      close: () => {},
    }
    for (const batch of dumpSockets(channel, V4_TCP, EVERY, createDumpBatch())) {
      expect(batch.localPort[0]).toBe(1)
      break
    }
    expect(pending.length).toBeGreaterThan(1)
    expect(listPorts(channel, { ...V4_TCP, protocol: 'udp' })).toEqual([4])
  })

  test.each([
    { question: { kind: 'legacy' }, choice: 'auto', protocol: 'tcp', explicit: false },
    { question: V4_TCP, choice: 'explicit', protocol: 'tcp', explicit: true },
    { question: { ...V4_TCP, protocol: 'udp' }, choice: 'any', protocol: 'udp', explicit: false },
  ] as const)('marks its batches as $protocol, explicit: $explicit', (one) => {
    const channel = createFakeChannel((request) => {
      const sequence = sequenceOf(request)
      return [Uint8Array.from([...buildSocket(plainSocket, sequence), ...buildDone(sequence)])]
    })
    const filter = { ...EVERY, choice: one.choice }
    const marks: unknown[] = []
    const batch = { ...createDumpBatch(), protocol: 'udp' as const, explicit: !one.explicit }
    for (const { protocol, explicit } of dumpSockets(channel, one.question, filter, batch)) {
      marks.push({ protocol, explicit })
    }
    expect(marks).toEqual([{ protocol: one.protocol, explicit: one.explicit }])
  })

  test('yields no batch for a datagram without sockets', () => {
    const channel = createFakeChannel((request) => [
      Uint8Array.from(buildDone(sequenceOf(request))),
    ])
    expect([...dumpSockets(channel, V4_TCP, EVERY, createDumpBatch())]).toEqual([])
  })

  test('explains what the kernel refuses, and keeps the cause', () => {
    const cause = new SystemError('send', 1)
    const channel: NetlinkChannel = {
      ...createFakeChannel(() => []),
      send: () => {
        throw cause
      },
    }
    const refused = () => listPorts(channel, { ...V4_TCP, protocol: 'udp' })
    expect(refused).toThrow(SourceError)
    expect(refused).toThrow(
      expect.objectContaining({
        reason: 'permission',
        message: 'Cannot read udp sockets from netlink: send: EPERM',
        cause,
      }),
    )
  })

  test('passes on what is no refusal', () => {
    const channel = createFakeChannel(() => [Uint8Array.of(1, 2, 3)])
    expect(() => listPorts(channel)).toThrow(DecodeError)
  })
})
