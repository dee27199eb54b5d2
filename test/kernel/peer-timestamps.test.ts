import { describe, expect, test } from 'vitest'
import {
  askPeerTimestamps,
  encodePeerRequest,
  readListeners,
  readPeerTimestamps,
  readTimestamps,
} from '../../src/kernel/peer-timestamps.ts'
import { DecodeError, FLAG } from '../../src/observation.ts'
import { createFakeChannel } from '../support/kernel/fake-channel.ts'
import { createFakeLibc } from '../support/kernel/fake-libc.ts'

const range = { first: 32768, last: 60999 }
const remote = { address: [0, 0, 0xffff, 0xc0a80109], port: 443 }
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** A message of that type with a body; both are padded already. */
function message(type: number, body: readonly number[]): number[] {
  const length = 16 + body.length
  return [length, 0, 0, 0, type, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, ...body]
}

/** struct inet_diag_msg of an IPv4 socket. */
const HEAD = [2, ...new Array(71).fill(0)]

/** A socket with struct tcp_info, of which the sixth byte has the options. */
function socket(options: number | undefined): number[] {
  const info = options === undefined ? [] : [12, 0, 2, 0, 1, 0, 0, 0, 0, options, 0, 0]
  return message(18, [...HEAD, ...info])
}

const done = message(3, [0, 0, 0, 0])
const answer = (...datagrams: readonly (readonly number[])[]) =>
  askPeerTimestamps(
    createFakeChannel(() => datagrams.map((bytes) => Uint8Array.from(bytes))),
    range,
    remote,
  )

describe('askPeerTimestamps()', () => {
  test.each<[string, readonly (readonly number[])[], boolean | 'mixed' | undefined]>([
    ['all have them', [[...socket(1), ...socket(7)], done], true],
    ['none has', [[...socket(6), ...socket(0)], done], false],
    ['they differ', [[...socket(1), ...socket(6)], done], 'mixed'],
    ['there is none', [done], undefined],
    ['the kernel tells nothing of them', [[...socket(undefined), ...done]], undefined],
    ['the first datagram is empty', [[...socket(undefined)], socket(1), done], true],
  ])('says, where %s, %s', (_what, datagrams, want) => {
    expect(answer(...datagrams)).toBe(want)
  })

  test('knows the options by their attribute, which old kernels cut before them', () => {
    const other = message(18, [...HEAD, 12, 0, 3, 0, 1, 0, 0, 0, 0, 7, 0, 0])
    const short = message(18, [...HEAD, 9, 0, 2, 0, 1, 0, 0, 0, 0, 7, 0, 0])
    expect(answer([...other], done)).toBeUndefined()
    expect(answer([...short], done)).toBeUndefined()
    expect(answer(message(99, socket(7).slice(16)), done)).toBeUndefined()
  })

  test('stops at the first datagram that tells', () => {
    expect(answer([...socket(1)])).toBe(true)
  })

  test('says what the kernel refuses', () => {
    expect(() => answer(message(2, [0xea, 0xff, 0xff, 0xff]))).toThrow('dump of peers')
  })

  test('refuses an attribute that misleads', () => {
    const cut = socket(1)
    cut[16 + 72] = 200
    expect(() => answer(cut)).toThrow(DecodeError)
  })
})

describe('over a socket of their own, which they close', () => {
  const refused = message(2, [0xff, 0xff, 0xff, 0xff])
  /** The states and the extensions that a request asks for, and its program. */
  const asked = (requests: readonly Uint8Array[]) =>
    requests.map((bytes) => [
      hex(bytes.subarray(16 + 52, 16 + 56)),
      bytes[19],
      hex(bytes.subarray(16 + 60 + 4)),
    ])

  test('readTimestamps() shows each live connection of the range once', () => {
    const libc = createFakeLibc([[...socket(1), ...socket(0)], socket(undefined), done])
    const seen: number[][] = []
    readTimestamps(libc, range, ({ flags, length }) => seen.push([...flags.subarray(0, length)]))
    expect(seen.filter((flags) => flags.length > 0)).toEqual([
      [FLAG.timestamps, FLAG.noTimestamps],
      [0],
    ])
    // States 1, 4, 5, 8, 9 and 11, with INET_DIAG_INFO.
    expect(asked(libc.requests)).toEqual([['320b0000', 2, '0208140000000080' + '03080c00000047ee']])
    expect(libc.open.size).toBe(0)
  })

  test('readListeners() asks for those of every port, and for nothing of them', () => {
    const libc = createFakeLibc([socket(undefined), socket(undefined), done])
    let count = 0
    readListeners(libc, ({ length }) => {
      count += length
    })
    expect(count).toBe(2)
    expect(asked(libc.requests)).toEqual([['00040000', 0, '0208140000000000' + '03080c000000ffff']])
    expect(libc.open.size).toBe(0)
  })

  test('readPeerTimestamps() gives the answer', () => {
    const libc = createFakeLibc([socket(1), done])
    expect(readPeerTimestamps(libc, range, remote)).toBe(true)
    expect(libc.open.size).toBe(0)
  })

  test('also where the kernel refuses', () => {
    const libc = createFakeLibc([refused])
    const denied = expect.objectContaining({ reason: 'permission' })
    expect(() => readTimestamps(libc, range, () => {})).toThrow(denied)
    expect(() => readListeners(libc, () => {})).toThrow(denied)
    expect(() => readPeerTimestamps(libc, range, remote)).toThrow(denied)
    expect([libc.made.length, libc.open.size]).toEqual([3, 0])
  })
})

describe('encodePeerRequest()', () => {
  const programOf = (bytes: Uint8Array) => hex(bytes.subarray(16 + 60 + 4))

  test('asks for INET_DIAG_INFO of connections to one address and port', () => {
    const bytes = encodePeerRequest(range, remote)
    // TCPDIAG_GETSOCK; AF_INET with extension 2; states 1, 4, 8, 9 and 11.
    expect(hex(bytes.subarray(4, 8))).toBe('12000103')
    expect(hex(bytes.subarray(16, 20))).toBe('02000002')
    expect(hex(bytes.subarray(16 + 52, 16 + 56))).toBe('120b0000')
    expect(programOf(bytes)).toBe(
      '0208240000000080' + '03081c00000047ee' + '08101400' + '02200000bb010000' + 'c0a80109',
    )
  })

  test.each([[[0, 0, 0xfffe, 9]], [[0, 1, 0xffff, 9]], [[1, 0, 0xffff, 9]]])(
    'takes %j for an address of IPv6',
    (address) => {
      expect(programOf(encodePeerRequest(range, { address, port: 443 }))).toContain('0a800000')
    },
  )

  test('compares all words of an IPv6 address', () => {
    const bytes = encodePeerRequest(range, { address: [0xfd000000, 0, 0, 9], port: 8443 })
    expect(programOf(bytes)).toBe(
      '0208300000000080' +
        '03082800000047ee' +
        '081c2000' +
        '0a800000fb200000' +
        'fd000000000000000000000000000009',
    )
  })

  test('rejects by jumping beyond the end of the whole program', () => {
    for (const address of [remote.address, [1, 2, 3, 4]]) {
      const program = encodePeerRequest(range, { address, port: 1 }).subarray(16 + 60 + 4)
      const view = new DataView(program.buffer, program.byteOffset)
      for (const at of [0, 8, 16]) {
        expect(at + view.getUint16(at + 2, true)).toBe(program.length + 4)
      }
      expect(16 + view.getUint8(17)).toBe(program.length)
    }
  })
})
