import { describe, expect, test } from 'vitest'
import { openLibc } from '../../src/kernel/libc.ts'
import {
  dumpDevices,
  dumpTunnelPorts,
  readDevices,
  readTunnelPorts,
} from '../../src/kernel/links.ts'
import { DecodeError, SourceError } from '../../src/observation.ts'
import { createFakeChannel } from '../support/kernel/fake-channel.ts'
import { createFakeLibc } from '../support/kernel/fake-libc.ts'

function message(
  type: number,
  body: readonly number[],
  { flags = 2, sequence = 1 } = {},
): number[] {
  const padded = [...body, ...new Array((4 - (body.length % 4)) % 4).fill(0)]
  const head = [(16 + body.length) & 0xff, (16 + body.length) >> 8, 0, 0, type, 0, flags, 0]
  return [...head, sequence, 0, 0, 0, 0, 0, 0, 0, ...padded]
}

function attribute(type: number, value: readonly number[]): number[] {
  const length = 4 + value.length
  return [length, 0, type, 0, ...value, ...new Array((4 - (length % 4)) % 4).fill(0)]
}

const text = (value: string) => [...Buffer.from(`${value}\0`)]

interface Link {
  readonly index: number
  readonly name: string
  readonly master?: number
  readonly kind?: string
  readonly isUp?: boolean
  /** Type and value of an attribute of its kind. */
  readonly data?: readonly [type: number, value: readonly number[]]
}

function link({ index, name, master, kind, isUp = true, data }: Link): number[] {
  return message(16, [
    ...[0, 0, 1, 0, index, 0, 0, 0, isUp ? 0x43 : 0x42, 0, 0, 0, 0, 0, 0, 0],
    ...attribute(3, text(name)),
    ...(master === undefined ? [] : attribute(10, [master, 0, 0, 0])),
    // With the flag of a nested attribute, as newer kernels send it.
    ...(kind === undefined
      ? []
      : attribute(18, [
          ...attribute(1, text(kind)),
          ...(data === undefined ? [] : attribute(2, attribute(...data))),
        ])),
  ])
}

const END = [0, 0, 0, 0]
const done = message(3, END)
/** NLM_F_MULTI | NLM_F_DUMP_INTR */
const interrupted = message(3, END, { flags: 0x12 })
const dump = (...datagrams: readonly (readonly number[])[]) =>
  dumpDevices(
    () => createFakeChannel(() => datagrams.map((bytes) => Uint8Array.from(bytes))),
    [1, 2, 4, 3, 6],
  )
/** The last answer is that to all further questions. */
function answerInTurn(...answers: readonly (readonly number[])[]) {
  let opened = 0
  let closed = 0
  const open = () => {
    const answer = answers[Math.min(opened++, answers.length - 1)] ?? []
    return { ...createFakeChannel(() => [Uint8Array.from(answer)]), close: () => void closed++ }
  }
  return { open, counts: () => ({ opened, closed }) }
}

describe('dumpDevices()', () => {
  test('tells names of the devices asked for that are there, and who is in a VRF, whatever the order', () => {
    const devices = dump(
      [...link({ index: 1, name: 'lo' }), ...link({ index: 2, name: 'eth1', master: 4 })],
      [...link({ index: 3, name: 'veth0', master: 5, kind: 'veth' })],
      [
        ...link({ index: 4, name: 'red', kind: 'vrf' }),
        ...link({ index: 5, name: 'br0', kind: 'bridge' }),
      ],
      done,
    )
    expect([...devices]).toEqual([
      [1, { name: 'lo', vrf: false }],
      [2, { name: 'eth1', vrf: true }],
      [4, { name: 'red', vrf: true }],
      [3, { name: 'veth0', vrf: false }],
    ])
  })

  test('says what the kernel refuses', () => {
    expect(() => dump(message(2, [0xff, 0xff, 0xff, 0xff]))).toThrow(SourceError)
  })

  test('asks again, over another channel, when devices came or went under the dump', () => {
    const vrf = [
      ...link({ index: 2, name: 'eth1', master: 4 }),
      ...link({ index: 4, name: 'red', kind: 'vrf' }),
    ]
    const { open, counts } = answerInTurn(
      [...link({ index: 2, name: 'eth1', master: 4 }), ...interrupted],
      [...vrf, ...done],
    )
    expect(dumpDevices(open, [2]).get(2)).toEqual({ name: 'eth1', vrf: true })
    expect(counts()).toEqual({ opened: 2, closed: 2 })
  })

  test('takes no dump for whole whose table never stands still', () => {
    const restless = answerInTurn([...link({ index: 2, name: 'eth1' }), ...interrupted])
    expect(() => dumpDevices(restless.open, [2])).toThrow(
      expect.objectContaining({ reason: 'timeout' }),
    )
    expect(restless.counts()).toEqual({ opened: 3, closed: 3 })
    expect(() => dumpTunnelPorts(restless.open)).toThrow(SourceError)
  })

  test('leaves out what answers another question', () => {
    const foreign = { sequence: 2 }
    const body = link({ index: 1, name: 'lo' }).slice(16)
    const devices = dump(
      [...message(16, body, foreign), ...message(3, END, foreign)],
      [...link({ index: 2, name: 'eth1' }), ...done],
    )
    expect([...devices.keys()]).toEqual([2])
  })

  test('asks for all devices of all families', () => {
    const channel = createFakeChannel(() => [Uint8Array.from(done)])
    dumpDevices(() => channel, [1])
    const [request = new Uint8Array(0)] = channel.requests
    // NLM_F_REQUEST | NLM_F_DUMP is 0x301, RTM_GETLINK is 18.
    const header = [32, 0, 0, 0, 18, 0, 1, 3, 1, 0, 0, 0, 0, 0, 0, 0]
    expect([...request]).toEqual([...header, ...new Array(16).fill(0)])
  })

  test('takes no device for a master from an attribute that is too short', () => {
    const short = message(16, [
      ...[0, 0, 1, 0, 2, 0, 0, 0, 0x43, 0, 0, 0, 0, 0, 0, 0],
      ...attribute(3, text('eth1')),
      ...attribute(10, [4, 0, 0]),
    ])
    const devices = dump([...short, ...link({ index: 4, name: 'red', kind: 'vrf' })], done)
    expect(devices.get(2)).toEqual({ name: 'eth1', vrf: false })
  })

  test('refuses an attribute without a whole head, where the datagram ends', () => {
    const body = [0, 0, 1, 0, 2, 0, 0, 0, 0x43, 0, 0, 0, 0, 0, 0, 0]
    for (const head of [[4], [4, 0], [4, 0, 3]]) {
      const cut = message(16, [...body, ...head]).slice(0, 16 + body.length + head.length)
      expect(() => dump(cut)).toThrow(DecodeError)
    }
    expect(dump(message(16, body), done).get(2)).toEqual({ name: '', vrf: false })
  })

  test('refuses what is cut', () => {
    expect(() => dump(message(16, [0, 0, 1, 0, 1, 0, 0, 0]))).toThrow(DecodeError)
    const misleading = link({ index: 1, name: 'lo' })
    misleading[32] = 200
    expect(() => dump(misleading)).toThrow(DecodeError)
  })
})

test('readDevices() finds the loopback device', async (context) => {
  if (process.platform !== 'linux') return context.skip('needs Linux')
  expect(readDevices(await openLibc(), [1]).get(1)).toEqual({ name: 'lo', vrf: false })
})

test('dumpTunnelPorts() lists the UDP ports of tunnels that are up, and of nothing else', () => {
  const tunnel = (index: number, kind: string, data: readonly [number, readonly number[]]) =>
    link({ index, name: `t${index}`, kind, data })
  const answer = [
    tunnel(1, 'vxlan', [15, [0x9c, 0x41]]),
    tunnel(2, 'geneve', [5, [0x9c, 0x42]]),
    tunnel(3, 'bareudp', [1, [0x9c, 0x43]]),
    tunnel(4, 'vlan', [15, [0x9c, 0x44]]),
    tunnel(5, 'vxlan', [15, [7]]),
    tunnel(6, 'vxlan', [1, [0x9c, 0x46]]),
    link({ index: 7, name: 'down', kind: 'vxlan', isUp: false, data: [15, [0x9c, 0x47]] }),
    done,
  ]
  const open = () => createFakeChannel(() => answer.map((bytes) => Uint8Array.from(bytes)))
  expect([...dumpTunnelPorts(open)]).toEqual([40_001, 40_002, 40_003])
  const libc = createFakeLibc(answer)
  expect([...readTunnelPorts(libc)]).toEqual([40_001, 40_002, 40_003])
  expect([libc.made, libc.open.size]).toEqual([[[16, 3, 0]], 0])
})

test('readDevices() closes its socket, also where the kernel refuses', () => {
  for (const errno of [0, 1]) {
    const libc = createFakeLibc([errno === 0 ? done : message(2, [256 - errno, 0xff, 0xff, 0xff])])
    const read = () => readDevices(libc, [1])
    if (errno === 0) expect(read().size).toBe(0)
    else expect(read).toThrow(expect.objectContaining({ reason: 'permission' }))
    expect(libc.open.size).toBe(0)
  }
})
