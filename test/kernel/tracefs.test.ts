import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import {
  findTracefs,
  readTraceFile,
  TRACEFS_PLACES,
  tracefsRefusal,
  writeTraceFile,
} from '../../src/kernel/tracefs.ts'

const directory = mkdtempSync(join(tmpdir(), 'tracefs-'))
afterAll(() => rmSync(directory, { recursive: true }))
const refusalOf = (reason: string, message: string | RegExp) =>
  expect.objectContaining({
    name: 'SourceError',
    reason,
    message: expect.stringMatching(message),
  })
const failed = (code: string) => Object.assign(new Error(`${code}: it failed`), { code })

describe('findTracefs()', () => {
  const mounted = join(directory, 'mounted')
  mkdirSync(join(mounted, 'instances'), { recursive: true })
  const file = join(directory, 'file')
  writeFileSync(file, '')
  const odd = join(directory, 'odd')
  mkdirSync(odd)
  writeFileSync(join(odd, 'instances'), '')

  test('takes the first place that has a directory of instances', () => {
    const absent = join(directory, 'absent')
    expect(findTracefs([absent, file, odd, mounted, directory])).toBe(mounted)
    expect(TRACEFS_PLACES).toContain('/sys/kernel/tracing')
  })

  test('says where there is none, and what to mount', () => {
    expect(() => findTracefs([odd, file])).toThrow(
      refusalOf(
        'unsupported',
        `^Cannot record failed allocations: there is no tracefs at ${odd} or ${file}; mount it \\(mount -t tracefs`,
      ),
    )
  })

  test('says what it may not look at, rather than that there is none', () => {
    expect(() => findTracefs([`${directory}/${'x'.repeat(300)}`, mounted])).toThrow(
      refusalOf('unsupported', '^Cannot record failed allocations: ENAMETOOLONG'),
    )
  })
})

describe('tracefsRefusal()', () => {
  test.each(['EROFS', 'EACCES', 'EPERM'])('says for %s which rights it takes', (code) => {
    expect(tracefsRefusal(failed(code))).toEqual(
      refusalOf(
        'permission',
        `^Cannot record failed allocations: ${code}: it failed; this takes root or CAP_DAC_OVERRIDE`,
      ),
    )
  })

  test.each([
    ['EMFILE', 'exhausted'],
    ['ENODEV', 'vanished'],
    ['ENOENT', 'unsupported'],
  ])('gives no advice on rights for %s', (code, reason) => {
    const cause = failed(code)
    expect(tracefsRefusal(cause)).toEqual(
      refusalOf(reason, `^Cannot record failed allocations: ${code}: it failed$`),
    )
    expect(tracefsRefusal(cause).cause).toBe(cause)
  })

  test('quotes what is no error as well', () => {
    expect(tracefsRefusal('gone').message).toBe('Cannot record failed allocations: gone')
  })
})

describe('readTraceFile() and writeTraceFile()', () => {
  test('read what was written, byte by byte', () => {
    const path = join(directory, 'filter')
    writeTraceFile(path, 'oldstate == 2\n')
    expect(readFileSync(path, 'latin1')).toBe('oldstate == 2\n')
    writeFileSync(path, Uint8Array.of(0x41, 0xff))
    expect(readTraceFile(path)).toBe('A\u00ff')
  })

  test('say what is refused', () => {
    const refused = refusalOf('unsupported', '^Cannot record failed allocations: EISDIR')
    expect(() => readTraceFile(directory)).toThrow(refused)
    expect(() => writeTraceFile(directory, '1')).toThrow(refused)
  })
})
