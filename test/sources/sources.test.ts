import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SourceError } from '../../src/observation.ts'
import type { SourceOptions } from '../../src/sources/source.ts'
import { openSource, sources } from '../../src/sources/sources.ts'
import { describeRows } from '../kernel/rows.ts'

let procfs = ''
beforeEach(() => {
  procfs = mkdtempSync(join(tmpdir(), 'procfs-'))
  cpSync(fileURLToPath(new URL('../fixtures/proc/dual-stack', import.meta.url)), procfs, {
    recursive: true,
  })
})
afterEach(() => rmSync(procfs, { recursive: true }))

const options = (changes: Partial<SourceOptions> = {}): SourceOptions => ({
  procfs,
  platform: 'linux',
  everyNamespace: false,
  ownPort: undefined,
  ...changes,
})

async function failureOf(opened: Promise<unknown>): Promise<SourceError> {
  try {
    await opened
  } catch (error) {
    if (error instanceof SourceError) return error
    throw error
  }
  throw new Error('A source was opened')
}

const notOurs = () =>
  `netlink: Cannot use netlink: ${procfs}/net is not of our own network namespace`
const noTable = () => `procfs: Cannot read sockets: there is no ${procfs}/net/tcp`

describe('sources', () => {
  test.each([
    { platform: 'linux', automatic: ['netlink', 'procfs'] },
    { platform: 'darwin', automatic: ['systeminformation'] },
    { platform: 'win32', automatic: ['systeminformation'] },
  ])('lists for auto on $platform, best first: $automatic', ({ platform, automatic }) => {
    const rows = sources.filter((row) => row.automatic(platform))
    expect(rows.map(({ reader }) => reader)).toEqual(automatic)
  })
})

describe("openSource('auto')", () => {
  test('takes procfs for a recorded tree, and tells what netlink said', async () => {
    const { source, refusals } = await openSource('auto', options())
    expect(source.reader).toBe('procfs')
    expect(refusals).toEqual([notOurs()])
    expect(describeRows((await source.read()).batches)).toContain(
      'tcp listen 127.0.0.1:40500 > 0.0.0.0:0',
    )
  })

  test('never takes systeminformation on Linux, not even when nothing else works', async () => {
    rmSync(join(procfs, 'net/tcp'))
    const error = await failureOf(openSource('auto', options()))
    expect(error.reason).toBe('unsupported')
    expect(error.message).toBe(`No source of sockets works here. ${notOurs()}. ${noTable()}`)
  })

  test('counts malformed text as a refusal', async () => {
    writeFileSync(join(procfs, 'net/tcp'), '')
    const { message } = await failureOf(openSource('auto', options()))
    expect(message).toMatch(/\. procfs: .*\(at offset \d+\)$/)
  })

  test('tries systeminformation alone on other platforms', async () => {
    const { message } = await failureOf(openSource('auto', options({ platform: 'freebsd' })))
    expect(message).toBe(
      'No source of sockets works here. systeminformation: Cannot use systeminformation on freebsd: its range of ephemeral ports is not known',
    )
  })

  test('passes mistakes of the program on', async () => {
    const broken: SourceOptions = {
      ...options(),
      get procfs(): string {
        throw new TypeError('a mistake')
      },
    }
    await expect(openSource('auto', broken)).rejects.toThrow(TypeError)
  })
})

describe('openSource() by name', () => {
  test('opens procfs without a try of netlink', async () => {
    const { source, refusals } = await openSource('procfs', options())
    expect(source.reader).toBe('procfs')
    expect(refusals).toEqual([])
  })

  test('does not fall back from netlink to procfs', async () => {
    const { message, reason } = await failureOf(openSource('netlink', options()))
    expect(message).toBe(`No source of sockets works here. ${notOurs()}`)
    expect(reason).toBe('unsupported')
  })

  test('does not fall back from procfs to anything', async () => {
    rmSync(join(procfs, 'net/tcp'))
    const { message } = await failureOf(openSource('procfs', options()))
    expect(message).toBe(`No source of sockets works here. ${noTable()}`)
  })
})
