// What src/kernel/ writes down of structures and numbers against test/fixtures/layout.json, which layout.c prints from the C
// headers: bytes are built and taken apart by that file's offsets, so that it is the decoder's oracle.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { probeCapabilities } from '../../src/kernel/capabilities.ts'
import { DIAG_MESSAGE_BYTES, decodeDatagram } from '../../src/kernel/diag-answer.ts'
import { openDiagChannel } from '../../src/kernel/diag-channel.ts'
import {
  ALL_STATES,
  type DumpQuestion,
  encodeDumpRequest,
  encodeFilter,
} from '../../src/kernel/diag-request.ts'
import {
  CLONE_NEWNET,
  EINTR,
  type Libc,
  MSG_TRUNC,
  SOCK_CLOEXEC,
  SystemError,
} from '../../src/kernel/libc.ts'
import { createSocketBatch, FLAG, type SocketBatch, socketStates } from '../../src/observation.ts'
import { createFakeKernel } from '../support/kernel/fake-kernel.ts'
import { at, constant, layoutText, states } from '../support/kernel/layout.ts'

const PROGRAM = fileURLToPath(new URL('layout.c', import.meta.url))
const HEADER = at('nlmsghdr', 'size')
const SOCKID_BYTES = at('inet_diag_msg', 'idiag_expires') - at('inet_diag_msg', 'id.idiag_sport')
const SEQUENCE = 0x01020304
const range = { first: 0x1234, last: 0xabcd }
const RANGE = ['INET_DIAG_BC_S_GE', 'INET_DIAG_BC_S_LE']

function buildHeader(length: number, type: string): Buffer {
  const bytes = Buffer.alloc(length)
  bytes.writeUInt32LE(length, at('nlmsghdr', 'nlmsg_len'))
  bytes.writeUInt16LE(constant(type), at('nlmsghdr', 'nlmsg_type'))
  bytes.writeUInt32LE(SEQUENCE, at('nlmsghdr', 'nlmsg_seq'))
  return bytes
}

function buildAttribute(type: string, value: Buffer): Buffer {
  const size = at('nlattr', 'size')
  const align = constant('NLMSG_ALIGNTO')
  const bytes = Buffer.alloc(Math.ceil((size + value.length) / align) * align)
  bytes.writeUInt16LE(size + value.length, at('nlattr', 'nla_len'))
  bytes.writeUInt16LE(constant(type), at('nlattr', 'nla_type'))
  value.copy(bytes, size)
  return bytes
}

interface Fields {
  readonly family: 'AF_INET' | 'AF_INET6'
  readonly state: number
  readonly timer: number
  readonly attributes?: readonly Buffer[]
}

/** Every field that is decoded has a value of its own, and all between them is 0xff. */
function buildSocket({ family, state, timer, attributes = [] }: Fields): Buffer {
  const fixed = HEADER + at('inet_diag_msg', 'size')
  const tail = Buffer.concat(attributes)
  const bytes = buildHeader(fixed + tail.length, 'SOCK_DIAG_BY_FAMILY')
  bytes.fill(0xff, HEADER, fixed)
  const field = (name: string) => HEADER + at('inet_diag_msg', name)
  bytes.writeUInt8(constant(family), field('idiag_family'))
  bytes.writeUInt8(state, field('idiag_state'))
  bytes.writeUInt8(timer, field('idiag_timer'))
  bytes.writeUInt16BE(40_001, field('id.idiag_sport'))
  bytes.writeUInt16BE(443, field('id.idiag_dport'))
  for (let word = 0; word < 4; word++) {
    bytes.writeUInt32BE(0x0a000001 + word, field('id.idiag_src') + 4 * word)
    bytes.writeUInt32BE(0x0b000001 + word, field('id.idiag_dst') + 4 * word)
  }
  bytes.writeUInt32LE(7, field('id.idiag_if'))
  bytes.writeUInt32LE(54_321, field('idiag_expires'))
  bytes.writeUInt32LE(65_534, field('idiag_uid'))
  bytes.writeUInt32LE(0xfedc_ba98, field('idiag_inode'))
  tail.copy(bytes, fixed)
  return bytes
}

function decode(datagram: Buffer): SocketBatch {
  const batch = createSocketBatch(1)
  expect(decodeDatagram(datagram, SEQUENCE, batch)).toBe('more')
  expect(batch.length).toBe(1)
  return batch
}

describe('decodeDatagram() reads inet_diag_msg as the headers lay it out', () => {
  test('every field of the fixed part', () => {
    expect(DIAG_MESSAGE_BYTES).toBe(at('inet_diag_msg', 'size'))
    const batch = decode(buildSocket({ family: 'AF_INET6', state: 6, timer: 3 }))
    expect([...batch.localAddress]).toEqual([0x0a000001, 0x0a000002, 0x0a000003, 0x0a000004])
    expect([...batch.remoteAddress]).toEqual([0x0b000001, 0x0b000002, 0x0b000003, 0x0b000004])
    expect([batch.localPort[0], batch.remotePort[0]]).toEqual([40_001, 443])
    expect([batch.device[0], batch.expiresMs[0], batch.uid[0]]).toEqual([7, 54_321, 65_534])
    expect(batch.flags[0]).toBe(FLAG.minisock)
    expect(batch.inode[0]).toBe(0)
  })

  test('IPv4 in the first word of an address', () => {
    const batch = decode(buildSocket({ family: 'AF_INET', state: 1, timer: 0 }))
    expect([...batch.localAddress]).toEqual([0, 0, 0xffff, 0x0a000001])
    expect([...batch.remoteAddress]).toEqual([0, 0, 0xffff, 0x0b000001])
  })

  test('the attributes INET_DIAG_SKV6ONLY and INET_DIAG_CGROUP_ID', () => {
    const id = Buffer.alloc(8)
    id.writeBigUInt64LE(0x1_2345_6789n)
    const attributes = [
      buildAttribute('INET_DIAG_SKV6ONLY', Buffer.of(1)),
      buildAttribute('INET_DIAG_CGROUP_ID', id),
    ]
    // The two high bits are flags.
    for (const attribute of attributes) {
      const type = attribute.readUInt16LE(at('nlattr', 'nla_type'))
      attribute.writeUInt16LE(
        type | (0xffff & ~constant('NLA_TYPE_MASK')),
        at('nlattr', 'nla_type'),
      )
    }
    const batch = decode(buildSocket({ family: 'AF_INET6', state: 10, timer: 0, attributes }))
    expect(batch.flags[0]).toBe(FLAG.ipv6Only)
    expect(batch.inode[0]).toBe(0xfedc_ba98)
    expect(batch.cgroupId[0]).toBe(0x1_2345_6789)
  })

  test('the number of every state', () => {
    for (const [name, state] of Object.entries(states)) {
      const batch = decode(buildSocket({ family: 'AF_INET', state, timer: 0 }))
      // CLOSE stands for what is bound and nothing else.
      const want = name === 'TCP_CLOSE' ? 'bound' : name.replace('TCP_', '').toLowerCase()
      expect(socketStates[batch.state[0] ?? 0], name).toBe(want)
    }
    expect(Object.keys(states)).toHaveLength(11)
  })

  test('the errno of NLMSG_ERROR and NLMSG_DONE', () => {
    for (const type of ['NLMSG_ERROR', 'NLMSG_DONE']) {
      const bytes = buildHeader(HEADER + 4, type)
      bytes.writeInt32LE(-13, HEADER + at('nlmsgerr', 'error'))
      expect(decodeDatagram(bytes, SEQUENCE, createSocketBatch(1))).toEqual({ errno: 13 })
    }
    const done = buildHeader(HEADER + 4, 'NLMSG_DONE')
    expect(decodeDatagram(done, SEQUENCE, createSocketBatch(1))).toBe('done')
  })
})

describe('encodeDumpRequest() writes what the headers lay out', () => {
  const questions: readonly { structure: string; type: string; question: DumpQuestion }[] = [
    {
      structure: 'inet_diag_req_v2',
      type: 'SOCK_DIAG_BY_FAMILY',
      question: { kind: 'family', family: constant('AF_INET6'), protocol: 'udp' },
    },
    { structure: 'inet_diag_req', type: 'TCPDIAG_GETSOCK', question: { kind: 'legacy' } },
  ]

  test.each(questions)('struct $structure', ({ structure, type, question }) => {
    const filter = { range, choice: 'auto', states: ALL_STATES } as const
    const bytes = Buffer.from(encodeDumpRequest(question, filter, SEQUENCE))
    expect(bytes.readUInt32LE(at('nlmsghdr', 'nlmsg_len'))).toBe(bytes.length)
    expect(bytes.readUInt16LE(at('nlmsghdr', 'nlmsg_type'))).toBe(constant(type))
    expect(bytes.readUInt16LE(at('nlmsghdr', 'nlmsg_flags'))).toBe(
      constant('NLM_F_REQUEST') | constant('NLM_F_DUMP'),
    )
    expect(bytes.readUInt32LE(at('nlmsghdr', 'nlmsg_seq'))).toBe(SEQUENCE)
    expect(bytes.readUInt32LE(HEADER + at(structure, 'idiag_states'))).toBe(ALL_STATES)
    if (structure === 'inet_diag_req_v2') {
      expect(bytes[HEADER + at(structure, 'sdiag_family')]).toBe(constant('AF_INET6'))
      expect(bytes[HEADER + at(structure, 'sdiag_protocol')]).toBe(constant('IPPROTO_UDP'))
    }
    const id = HEADER + at(structure, 'id')
    expect(bytes.subarray(id, id + SOCKID_BYTES)).toEqual(Buffer.alloc(SOCKID_BYTES))
    const attribute = bytes.subarray(HEADER + at(structure, 'size'))
    const program = Buffer.from(encodeFilter(range, 'auto'))
    expect(attribute).toEqual(buildAttribute('INET_DIAG_REQ_BYTECODE', program))
  })

  test.each([
    ['any', RANGE],
    ['auto', [...RANGE, 'INET_DIAG_BC_AUTO']],
    ['explicit', [...RANGE, 'INET_DIAG_BC_AUTO', 'INET_DIAG_BC_JMP']],
    ['explicit_or_idle', [...RANGE, 'INET_DIAG_BC_AUTO', 'INET_DIAG_BC_D_LE']],
  ] as const)('the instructions of the filter %s', (choice, names) => {
    const program = Buffer.from(encodeFilter(range, choice))
    const size = at('inet_diag_bc_op', 'size')
    const codes: number[] = []
    const operands: number[] = []
    for (let op = 0; op < program.length; ) {
      const yes = program.readUInt8(op + at('inet_diag_bc_op', 'yes'))
      codes.push(program.readUInt8(op + at('inet_diag_bc_op', 'code')))
      // A comparison's port is the `no` of a second instruction.
      if (yes === 2 * size)
        operands.push(program.readUInt16LE(op + size + at('inet_diag_bc_op', 'no')))
      op += yes
    }
    expect(codes).toEqual(names.map(constant))
    const remote = choice === 'explicit_or_idle' ? [0] : []
    expect(operands).toEqual([range.first, range.last, ...remote])
  })
})

describe('system calls', () => {
  function watch(): { libc: Libc; calls: Record<'socket' | 'bind' | 'setsockopt', unknown[][]> } {
    const kernel = createFakeKernel()
    const calls = {
      socket: [] as unknown[][],
      bind: [] as unknown[][],
      setsockopt: [] as unknown[][],
    }
    const libc: Libc = {
      ...kernel,
      socket: (...values) => {
        calls.socket.push(values)
        return kernel.socket(...values)
      },
      bind: (...values) => {
        calls.bind.push(values)
        kernel.bind(...values)
      },
      setsockopt: (...values) => {
        calls.setsockopt.push(values)
        kernel.setsockopt(...values)
      },
    }
    return { libc, calls }
  }

  test('openDiagChannel() opens NETLINK_SOCK_DIAG with a struct timeval as its time-out', () => {
    const { libc, calls } = watch()
    openDiagChannel(libc).close()
    expect(calls.socket).toEqual([['AF_NETLINK', 'SOCK_RAW', 'NETLINK_SOCK_DIAG'].map(constant)])
    const [[, level, option, value] = []] = calls.setsockopt
    expect([level, option]).toEqual([constant('SOL_SOCKET'), constant('SO_RCVTIMEO')])
    const timeval = Buffer.from(value as Uint8Array)
    expect(timeval).toHaveLength(at('timeval', 'size'))
    const milliseconds =
      timeval.readBigInt64LE(at('timeval', 'tv_sec')) * 1000n +
      timeval.readBigInt64LE(at('timeval', 'tv_usec')) / 1000n
    expect(milliseconds).toBeGreaterThan(0n)
    expect(milliseconds).toBeLessThanOrEqual(2000n) // the program ends within that
  })

  test('probeCapabilities() binds struct sockaddr_in, of a stream and of datagrams', () => {
    const { libc, calls } = watch()
    probeCapabilities(libc, { first: 1025, last: 65_535 })
    const types = calls.socket.slice(1).map(([domain, type]) => [domain, type])
    const inet = constant('AF_INET')
    expect(types).toEqual([
      [inet, constant('SOCK_STREAM')],
      [inet, constant('SOCK_DGRAM')],
    ])
    for (const [, bytes] of calls.bind) {
      const address = Buffer.from(bytes as Uint8Array)
      expect(address).toHaveLength(at('sockaddr_in', 'size'))
      expect(address.readUInt16LE(at('sockaddr_in', 'sin_family'))).toBe(inet)
      expect(address.readUInt16BE(at('sockaddr_in', 'sin_port'))).toBe(1024)
      expect(address.readUInt32BE(at('sockaddr_in', 'sin_addr'))).toBe(0)
    }
  })

  test('the numbers that libc.ts adds', () => {
    expect({ SOCK_CLOEXEC, MSG_TRUNC, CLONE_NEWNET, EINTR }).toEqual(
      Object.fromEntries(
        ['SOCK_CLOEXEC', 'MSG_TRUNC', 'CLONE_NEWNET', 'EINTR'].map((name) => [
          name,
          constant(name),
        ]),
      ),
    )
    expect(new SystemError('recv', EINTR).code).toBe('EINTR')
  })
})

test('layout.json is what the C headers of this machine say', (context) => {
  if (process.platform !== 'linux') return context.skip(`needs Linux, this is ${process.platform}`)
  const directory = mkdtempSync(join(tmpdir(), 'layout-'))
  try {
    const program = join(directory, 'layout')
    const compiled = spawnSync('cc', ['-o', program, PROGRAM], { encoding: 'utf8' })
    if (compiled.error !== undefined) return context.skip('needs a C compiler')
    if (/No such file or directory/.test(compiled.stderr)) {
      return context.skip("needs the kernel's headers (Debian: apt-get install linux-libc-dev)")
    }
    expect(compiled.stderr).toBe('')
    expect(spawnSync(program, { encoding: 'utf8' }).stdout).toBe(layoutText)
  } finally {
    rmSync(directory, { recursive: true })
  }
})
