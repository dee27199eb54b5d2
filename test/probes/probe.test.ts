import { constants } from 'node:os'
import { describe, expect, test } from 'vitest'
import { probeAllocation } from '../../src/probes/canary.ts'
import { probePort, probePorts } from '../../src/probes/port.ts'
import { createFakeSockets, ERRNO } from '../failures/fake-sockets.ts'

test('the errno numbers are those of this machine', () => {
  if (process.platform !== 'linux') return
  for (const [name, errno] of Object.entries(ERRNO)) {
    expect(constants.errno[name as keyof typeof ERRNO]).toBe(errno)
  }
})

describe('probePort()', () => {
  test('asks for that port alone, from an address nobody uses, and leaves nothing behind', () => {
    const sockets = createFakeSockets({ connect: ERRNO.EINPROGRESS })
    expect(probePort(sockets, 40_001)).toBe('usable')
    expect(sockets.calls).toEqual([
      // AF_INET, SOCK_STREAM | SOCK_NONBLOCK
      ['socket', 2, 0o4001, 0],
      // SO_LINGER, on, 0 seconds: closing resets
      ['setsockopt', 1, 13, '0100000000000000'],
      // IP_BIND_ADDRESS_NO_PORT
      ['setsockopt', 0, 24, '01000000'],
      // IP_LOCAL_PORT_RANGE, 0x9c41 to 0x9c41
      ['setsockopt', 0, 51, '419c419c'],
      // 127.254.254.254:0
      ['bind', `02000000${'7ffefefe'}${'0'.repeat(16)}`],
      // 127.0.0.1:9
      ['connect', `02000009${'7f000001'}${'0'.repeat(16)}`],
      ['close', 3],
    ])
  })

  test.each([
    ['usable', 'is refused by the other side', { connect: ERRNO.ECONNREFUSED }],
    ['usable', 'is accepted', {}],
    ['closed', 'finds no port', { connect: ERRNO.EADDRNOTAVAIL }],
    ['unknown', 'finds no way', { connect: ERRNO.ENETUNREACH }],
    ['unknown', 'has no loopback to bind to', { bind: ERRNO.EADDRNOTAVAIL }],
    ['unknown', 'is on a kernel before 6.3', { setsockopt: ERRNO.ENOPROTOOPT }],
    ['unknown', 'gets no socket', { socket: ERRNO.EMFILE }],
  ] as const)('says %s when it %s', (verdict, _case, refusals) => {
    expect(probePort(createFakeSockets(refusals), 40_001)).toBe(verdict)
  })

  test('passes on what is no answer of the kernel', () => {
    const broken = { ...createFakeSockets({}), connect: () => expect.fail('a fault of ours') }
    expect(() => probePort(broken, 40_001)).toThrow('a fault of ours')
  })
})

describe('probePorts()', () => {
  test('sorts ports by verdict', () => {
    const sockets = createFakeSockets({})
    let asked = 0
    const libc = {
      ...sockets,
      connect: () => {
        if (asked++ === 1)
          createFakeSockets({ connect: ERRNO.EADDRNOTAVAIL }).connect(3, new Uint8Array())
      },
    }
    expect(probePorts(libc, [40_000, 40_001, 40_002])).toEqual({
      usable: [40_000, 40_002],
      closed: [40_001],
      problem: undefined,
    })
  })

  test('gives up, with the reason, when an answer says nothing', () => {
    const sockets = createFakeSockets({ bind: ERRNO.EADDRNOTAVAIL })
    expect(probePorts(sockets, [40_000, 40_001])).toEqual({
      usable: [],
      closed: [],
      problem: 'Cannot test ports: bind: EADDRNOTAVAIL',
    })
    expect(sockets.calls.filter(([name]) => name === 'socket')).toHaveLength(1)
  })
})

describe('probeAllocation()', () => {
  function clock() {
    let now = 10
    return () => {
      now += 0.5
      return now
    }
  }

  test('binds to port 0 of any IPv4 address, times it and closes', () => {
    const sockets = createFakeSockets({})
    expect(probeAllocation(sockets, 'tcp_bind', clock())).toEqual({
      pool: 'tcp_bind',
      success: true,
      durationSeconds: 0.5,
    })
    expect(sockets.calls).toEqual([
      ['socket', 2, 1, 0],
      ['bind', `0200${'0'.repeat(28)}`],
      ['close', 3],
    ])
  })

  test.each([
    ['tcp_bind', ERRNO.EADDRINUSE],
    ['udp', ERRNO.EADDRINUSE],
    ['udp', ERRNO.EAGAIN],
  ] as const)('says that %s is empty for errno %d', (pool, errno) => {
    const sockets = createFakeSockets({ bind: errno })
    expect(probeAllocation(sockets, pool, clock())).toEqual({
      pool,
      success: false,
      durationSeconds: 0.5,
    })
    expect(sockets.calls.at(-1)).toEqual(['close', 3])
  })

  test.each([{ bind: ERRNO.EPERM }, { socket: ERRNO.EMFILE }])(
    'says nothing when it may not try: %o',
    (refusals) => {
      expect(probeAllocation(createFakeSockets(refusals), 'udp', clock())).toBeUndefined()
    },
  )
})
