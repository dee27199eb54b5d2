import { fstatSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Libc, SystemError } from '../../src/kernel/libc.ts'
import { createEnterNamespace, readNamespaceCookie } from '../../src/kernel/netns.ts'
import { SourceError } from '../../src/observation.ts'
import { createFakeKernel } from '../support/kernel/fake-kernel.ts'
import { constant } from '../support/kernel/layout.ts'

const [EPERM, ENOPROTOOPT, EMFILE] = [1, 92, 24]
const OWN = '/proc/thread-self/ns/net'

describe.runIf(process.platform === 'linux')('createEnterNamespace()', () => {
  const directory = mkdtempSync(join(tmpdir(), 'door-'))
  const elsewhere = join(directory, 'net')
  beforeAll(() => writeFileSync(elsewhere, ''))
  afterAll(() => rmSync(directory, { recursive: true }))

  /** A libc that notes by inode where the thread was moved to, and on which descriptor. */
  function createMover(refuse?: (move: number) => number | undefined) {
    const inodes: number[] = []
    const descriptors: number[] = []
    const libc: Libc = {
      ...createFakeKernel(),
      setns(fd) {
        const errno = refuse?.(inodes.length)
        if (errno !== undefined) throw new SystemError('setns', errno)
        inodes.push(fstatSync(fd).ino)
        descriptors.push(fd)
      },
    }
    return { libc, inodes, descriptors }
  }
  const there = () => statSync(elsewhere).ino
  const home = statSync(OWN).ino

  test('runs the call inside, passes its result on and goes home', () => {
    const { libc, inodes } = createMover()
    const inside = createEnterNamespace(libc)(elsewhere, () => [...inodes])
    expect(inside).toEqual([there()])
    expect(inodes).toEqual([there(), home])
  })

  test('goes home from a call that throws, whose error passes', () => {
    const { libc, inodes } = createMover()
    const enter = createEnterNamespace(libc)
    const error = new Error('inside')
    expect(() =>
      enter(elsewhere, () => {
        throw error
      }),
    ).toThrow(error)
    expect(inodes).toEqual([there(), home])
  })

  test('keeps no descriptor of the namespace open, which would keep it alive', () => {
    const { libc, descriptors } = createMover()
    createEnterNamespace(libc)(elsewhere, () => {
      const [open = 0] = descriptors
      const link = `/proc/self/fd/${open}`
      expect(() => statSync(link)).toThrow('ENOENT')
    })
  })

  test('makes no call where the namespace cannot be entered, and says why', () => {
    const { libc, inodes } = createMover(() => EPERM)
    const enter = createEnterNamespace(libc)
    const call = () => {
      throw new Error('it was called')
    }
    const message = `Cannot enter ${elsewhere}: setns: EPERM`
    expect(() => enter(elsewhere, call)).toThrow(new SourceError('permission', message))
    expect(() => enter(elsewhere, call)).toThrow(expect.objectContaining({ reason: 'permission' }))
    const gone = join(directory, 'gone')
    expect(() => enter(gone, call)).toThrow(
      expect.objectContaining({
        name: 'SourceError',
        reason: 'vanished',
        message: expect.stringMatching(`^Cannot open ${gone}: ENOENT`),
      }),
    )
    expect(inodes).toEqual([])
  })

  test('does not call it a refused read when the thread cannot go home', () => {
    const { libc } = createMover((move) => (move === 1 ? EPERM : undefined))
    expect(() => createEnterNamespace(libc)(elsewhere, () => 'read')).toThrow(SystemError)
  })

  test('passes on what is no refusal of the kernel', () => {
    const error = new TypeError('a mistake')
    const libc: Libc = {
      ...createFakeKernel(),
      setns: () => {
        throw error
      },
    }
    expect(() => createEnterNamespace(libc)(elsewhere, () => 'read')).toThrow(error)
  })
})

describe('readNamespaceCookie()', () => {
  function createTeller(getsockopt: Libc['getsockopt']) {
    const kernel = createFakeKernel()
    const calls: unknown[][] = []
    const libc: Libc = {
      ...kernel,
      socket: (...values) => {
        calls.push(values)
        return kernel.socket(...values)
      },
      getsockopt: (...values) => {
        calls.push(values.slice(1))
        return getsockopt(...values)
      },
    }
    return { libc, kernel, calls }
  }

  test('asks a netlink socket for SO_NETNS_COOKIE, closes it, and reads 64 bits wherever they lie', () => {
    const bytes = Uint8Array.from([9, 9, 9, 9, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, 9])
    const { libc, kernel, calls } = createTeller(() => bytes.subarray(4, 12))
    expect(readNamespaceCookie(libc)).toBe(0x0123_4567_89ab_cdefn)
    expect(calls).toEqual([
      ['AF_NETLINK', 'SOCK_RAW', 'NETLINK_SOCK_DIAG'].map(constant),
      [constant('SOL_SOCKET'), 71, 8],
    ])
    expect(kernel.openSockets.size).toBe(0)
  })

  test('knows none where the kernel does not tell', () => {
    const { libc, kernel } = createTeller(() => {
      throw new SystemError('getsockopt', ENOPROTOOPT)
    })
    expect(readNamespaceCookie(libc)).toBeUndefined()
    expect(kernel.openSockets.size).toBe(0)
  })

  test('passes on what is no answer of the kernel, and closes the socket', () => {
    const error = new TypeError('a mistake')
    const { libc, kernel } = createTeller(() => {
      throw error
    })
    expect(() => readNamespaceCookie(libc)).toThrow(error)
    expect(kernel.openSockets.size).toBe(0)
  })

  test('says why there is no socket to ask', () => {
    const libc: Libc = {
      ...createFakeKernel(),
      socket: () => {
        throw new SystemError('socket', EMFILE)
      },
    }
    expect(() => readNamespaceCookie(libc)).toThrow(
      expect.objectContaining({
        name: 'SourceError',
        reason: 'exhausted',
        message: 'Cannot tell network namespaces apart: socket: EMFILE',
      }),
    )
  })
})
