import { networkInterfaces } from 'node:os'
import { describe, expect, test } from 'vitest'
import {
  decodeInterfaceAddresses,
  readInterfaceAddresses,
} from '../../src/kernel/interface-addresses.ts'
import { type Libc, openLibc } from '../../src/kernel/libc.ts'
import { encodeAttribute, encodeMessage } from '../../src/kernel/netlink.ts'
import { renderIpv4 } from '../../src/model/addresses.ts'
import { DecodeError } from '../../src/observation.ts'
import { createFakeKernel } from '../support/kernel/fake-kernel.ts'

const NEW_ADDRESS = 20
const HOST_SCOPE = 254

function address(last: number, { family = 2, scope = 0, type = 2, flags = 2 } = {}): Uint8Array {
  return encodeMessage(
    { type: NEW_ADDRESS, flags, sequence: 1 },
    Buffer.concat([
      Uint8Array.of(family, 24, 0, scope, 2, 0, 0, 0),
      encodeAttribute(1, Uint8Array.of(10, 0, 0, 99)),
      encodeAttribute(type, Uint8Array.of(10, 0, 0, last)),
    ]),
  )
}

function decode(...messages: readonly Uint8Array[]): readonly string[] {
  const addresses: number[] = []
  decodeInterfaceAddresses(Buffer.concat(messages), 1, addresses)
  return addresses.map(renderIpv4)
}

describe('addresses of a namespace', () => {
  test('are the local ones of IPv4, without those that every namespace has', () => {
    expect(decode(address(1), address(2, { scope: HOST_SCOPE }), address(3))).toEqual([
      '10.0.0.1',
      '10.0.0.3',
    ])
    expect(decode(address(1, { family: 10 }), address(2, { type: 4 }))).toEqual([])
  })

  test('are refused where a length misleads', () => {
    const short = address(1).slice(0, 20)
    new DataView(short.buffer).setUint32(0, 20, true)
    expect(() => decode(short)).toThrow(DecodeError)
    const misleading = address(1)
    misleading[24] = 200
    expect(() => decode(misleading)).toThrow(DecodeError)
  })

  /** A kernel that gives these datagrams one after the other, whoever asks. */
  function answering(answers: Buffer[]) {
    let closed = 0
    const libc: Libc = {
      ...createFakeKernel(),
      socket: (...kind) => {
        expect(kind).toEqual([16, 3, 0])
        return 9
      },
      setsockopt: () => {},
      send: (_fd, bytes) => expect(Buffer.from(bytes).readUInt16LE(4)).toBe(22),
      recv: (_fd, buffer) => {
        const answer = answers.shift() ?? Buffer.alloc(0)
        buffer.set(answer)
        return answer.length
      },
      close: () => void closed++,
    }
    return { libc, closed: () => closed }
  }

  test('are asked for again, over another socket, when one came or went meanwhile', () => {
    const interrupted = address(2, { flags: 0x12 })
    const { libc, closed } = answering([Buffer.from(interrupted), Buffer.from(address(3))])
    expect(readInterfaceAddresses(libc, 1).map(renderIpv4)).toEqual(['10.0.0.3'])
    expect(closed()).toBe(2)
  })

  test('end at as many as are wanted, and the socket is closed', () => {
    const answers = [[address(1), address(2)], [address(3)], [address(4)]].map((messages) =>
      Buffer.concat(messages),
    )
    const { libc, closed } = answering(answers)
    expect(readInterfaceAddresses(libc, 3).map(renderIpv4)).toEqual([
      '10.0.0.1',
      '10.0.0.2',
      '10.0.0.3',
    ])
    expect([answers.length, closed()]).toEqual([1, 1])
  })

  test('are what the system says of our own, up to so many', async (ctx) => {
    if (process.platform !== 'linux') return ctx.skip('needs Linux')
    const libc = await openLibc()
    const expected = Object.values(networkInterfaces())
      .flatMap((all) => all ?? [])
      .filter(({ family, internal }) => family === 'IPv4' && !internal)
      .map((one) => one.address)
    const found = readInterfaceAddresses(libc, 64).map(renderIpv4)
    expect(found).toEqual(expect.arrayContaining(expected))
    expect(found).not.toContain('127.0.0.1')
    expect(readInterfaceAddresses(libc, 0)).toEqual([])
  })
})
