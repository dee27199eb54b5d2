import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { portOutside, probeCapabilities, probeTcp } from '../../src/kernel/capabilities.ts'
import { SourceError } from '../../src/observation.ts'
import { createFakeChannel, sequenceOf } from '../support/kernel/fake-channel.ts'
import { createFakeKernel, type KernelTraits } from '../support/kernel/fake-kernel.ts'
import {
  buildDatagrams,
  buildDone,
  buildSocket,
  type WireSocket,
} from '../support/kernel/netlink-builder.ts'

const range = { first: 32_768, last: 60_999 }
const everything = {
  legacyWalk: true,
  boundIdle: true,
  portChoice: true,
  udpDiag: true,
  cgroupId: true,
}

/** INET_DIAG_BC_AUTO and INET_DIAG_BC_JMP, which turns that round. */
const CHOICE = { auto: 6, explicit: 1 } as const

const { random } = Math
afterEach(() => {
  Math.random = random
})

describe('probeCapabilities()', () => {
  const kernels: readonly { name: string; lacks: Partial<KernelTraits>; finds: object }[] = [
    { name: 'lacks nothing', lacks: {}, finds: {} },
    {
      name: 'ignores state bit 13 (before 6.8)',
      lacks: { boundIdle: false },
      finds: { boundIdle: false },
    },
    { name: 'has no udp_diag', lacks: { udpDiag: false }, finds: { udpDiag: false } },
    {
      name: 'takes every port for chosen by itself',
      lacks: { portChoice: 'blind' },
      finds: { portChoice: false },
    },
    { name: 'has no legacy walk', lacks: { legacyWalk: false }, finds: { legacyWalk: false } },
    {
      name: 'tells no cgroup (before 5.9)',
      lacks: { cgroupId: false },
      finds: { cgroupId: false },
    },
    {
      name: 'lacks all of it but TCP',
      lacks: {
        boundIdle: false,
        udpDiag: false,
        portChoice: 'blind',
        legacyWalk: false,
        cgroupId: false,
      },
      finds: {
        boundIdle: false,
        udpDiag: false,
        portChoice: false,
        legacyWalk: false,
        cgroupId: false,
      },
    },
  ]

  test.each(kernels)('says so when the kernel $name', ({ lacks, finds }) => {
    const kernel = createFakeKernel(lacks)
    expect(probeCapabilities(kernel, range)).toEqual({ ...everything, ...finds })
    expect(kernel.openSockets.size).toBe(0)
  })

  test('listens only where the kernel does not list what is bound', () => {
    const [current, old] = [createFakeKernel(), createFakeKernel({ boundIdle: false })]
    probeCapabilities(current, range)
    probeCapabilities(old, range)
    expect([current.listenCalls, old.listenCalls]).toEqual([0, 1])
  })

  test('binds outside of the range only', () => {
    const narrow = { first: 1025, last: 65_535 }
    const kernel = createFakeKernel()
    probeCapabilities(kernel, narrow)
    expect(kernel.boundPorts).toEqual([1024, 1024])
  })

  test('tries other ports when one is taken, and gives up in the end', () => {
    const busy = createFakeKernel({ portsInUse: 5 })
    expect(probeCapabilities(busy, range)).toEqual(everything)
    const full = createFakeKernel({ portsInUse: 1000 })
    expect(failureOf(full)).toMatchObject({ reason: 'exhausted' })
    expect([busy.openSockets.size, full.openSockets.size]).toEqual([0, 0])
  })

  test('tries other ports when one needs a right, and no other when bind() fails for another reason', () => {
    const [EINVAL, EACCES] = [22, 13]
    const privileged = createFakeKernel({ portsInUse: 5, bindErrno: EACCES })
    expect(probeCapabilities(privileged, range)).toEqual(everything)
    const broken = createFakeKernel({ portsInUse: 5, bindErrno: EINVAL })
    expect(() => probeCapabilities(broken, range)).toThrow('bind: EINVAL')
    expect([privileged.openSockets.size, broken.openSockets.size]).toEqual([0, 0])
  })

  test('takes a port of the range where none outside is free', () => {
    const wide = { first: 1024, last: 65_534 }
    const kernel = createFakeKernel({ portsInUse: 16 })
    // Outside there is 65535 alone; with the first try inside it is drawn from all.
    Math.random = () => 0.5
    expect(probeCapabilities(kernel, wide)).toEqual(everything)
    expect(kernel.boundPorts[0]).toBe(1024 + Math.floor(0.5 * 64_511))
    expect(kernel.boundPorts[1]).toBe(65_535)
  })

  test.each([
    { tcpDiag: 'empty', reason: 'unsupported', message: /does not list a listening socket/ },
    {
      tcpDiag: 'refuses',
      reason: 'unsupported',
      message: /tcp_diag is missing: modprobe tcp_diag/,
    },
    { tcpDiag: 'silent', reason: 'timeout', message: /Cannot read tcp sockets.*EAGAIN/ },
  ] as const)(
    'throws SourceError, and leaves nothing open, when TCP is $tcpDiag',
    ({ tcpDiag, reason, message }) => {
      const kernel = createFakeKernel({ tcpDiag })
      expect(failureOf(kernel)).toMatchObject({ reason, message: expect.stringMatching(message) })
      expect(kernel.openSockets.size).toBe(0)
    },
  )
})

function failureOf(kernel: ReturnType<typeof createFakeKernel>): SourceError {
  try {
    probeCapabilities(kernel, range)
  } catch (error) {
    if (error instanceof SourceError) return error
    throw error
  }
  throw new Error('The self-test succeeded')
}

test('probeTcp() takes no stranger for its socket where the kernel ignores the filter', () => {
  const channel = createFakeChannel((request) => {
    const sequence = sequenceOf(request)
    return buildDatagrams(
      [
        buildSocket({ ...stranger, localPort: 2001, state: 10 }, sequence),
        // A connection on our port is not what we have bound.
        buildSocket({ ...stranger, localPort: 2000, state: 1 }, sequence),
        buildDone(sequence),
      ],
      3,
    )
  })
  expect(() => probeTcp(channel, { port: 2000, listen: () => {} })).toThrow(SourceError)
  const asked = channel.requests.map((request) => Buffer.from(request).readUInt16LE(76 + 6))
  expect(asked).toEqual([2000, 2000])
})

test.each<[string, readonly (typeof CHOICE)[keyof typeof CHOICE][], boolean]>([
  ['chosen by us', [CHOICE.explicit], true],
  ['chosen by itself', [CHOICE.auto], false],
  ['both', [CHOICE.explicit, CHOICE.auto], false],
  ['neither', [], false],
])(
  'probeTcp() trusts port choices where the kernel takes its port for %s: %j, %s',
  (_what, listed, trusts) => {
    const channel = createFakeChannel((request) => {
      const sequence = sequenceOf(request)
      // The last instruction of the filter; that of one for any choice begins with a zero.
      const choice = request.at(-4)
      const isListed = choice === 0 || listed.some((one) => one === choice)
      const ours = buildSocket({ ...stranger, localPort: 2000 }, sequence)
      return buildDatagrams([...(isListed ? [ours] : []), buildDone(sequence)], 2)
    })
    expect(probeTcp(channel, { port: 2000, listen: () => {} }).portChoice).toBe(trusts)
  },
)

const stranger: WireSocket = {
  family: 4,
  state: 10,
  timer: 0,
  localPort: 0,
  remotePort: 0,
  local: [0, 0, 0, 0],
  remote: [0, 0, 0, 0],
  device: 0,
  expiresMs: 0,
  uid: 0,
  v6only: undefined,
  cgroupId: undefined,
}

test('portOutside() gives an unprivileged port outside of the range wherever there is one', () => {
  const anyRange = fc
    .tuple(fc.integer({ min: 1, max: 65_535 }), fc.integer({ min: 1, max: 65_535 }))
    .map(([a, b]) => ({ first: Math.min(a, b), last: Math.max(a, b) }))
  const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(
    fc.property(anyRange, fraction, (some, where) => {
      const port = portOutside(some, where)
      const leavesNone = some.first <= 1024 && some.last === 65_535
      expect(port).toBeGreaterThanOrEqual(1024)
      expect(port).toBeLessThanOrEqual(65_535)
      expect(port < some.first || port > some.last).toBe(!leavesNone)
    }),
  )
})
