import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { readProcFile, readProcList, refusal } from '../../src/kernel/proc-file.ts'
import { SourceError } from '../../src/observation.ts'
import { asNobody } from './nobody.ts'

const directory = mkdtempSync(join(tmpdir(), 'proc-file-'))
chmodSync(directory, 0o755)
afterAll(() => rmSync(directory, { recursive: true }))

function write(text: string): string {
  const path = join(directory, 'file')
  writeFileSync(path, text)
  return path
}

describe('readProcFile()', () => {
  test('reads a file longer than expected whole, up to 512 KiB', () => {
    for (const length of [0, 1, 9, 10, 11, 4096, 512 * 1024 - 1]) {
      const text = 'x'.repeat(length)
      expect(readProcFile(write(text), 10) === text, `${length}`).toBe(true)
    }
  })

  test('leaves no descriptor open', () => {
    const next = () => {
      const fd = openSync(directory, 'r')
      closeSync(fd)
      return fd
    }
    const long = write('x'.repeat(512 * 1024))
    const before = next()
    for (let round = 0; round < 100; round++) {
      expect(() => readProcFile(long)).toThrow(SourceError)
    }
    // Others in this process may open a few meanwhile.
    expect(next()).toBeLessThan(before + 50)
  })

  test('expects less than 4 KiB by itself, and no less', () => {
    for (const length of [4095, 4096]) {
      expect(readProcFile(write('x'.repeat(length)))).toHaveLength(length)
    }
  })

  test('refuses a longer one rather than cut it', () => {
    const path = write('x'.repeat(512 * 1024))
    expect(() => readProcFile(path)).toThrow(
      expect.objectContaining({
        name: 'SourceError',
        reason: 'malformed',
        message: `Cannot read ${path}: it is longer than 512 KiB`,
      }),
    )
  })

  test('reads UTF-8, and bytes that are none as U+FFFD', () => {
    const path = join(directory, 'file')
    writeFileSync(path, Uint8Array.of(0x41, 0xc3, 0xb6, 0xff, 0xc3))
    expect(readProcFile(path)).toBe('Aö\ufffd\ufffd')
  })
})

describe.each([
  ['readProcFile()', (path: string) => readProcFile(path)],
  ['readProcList()', readProcList],
])('%s', (_name, read) => {
  test('reads what there is, and undefined where there is no file', () => {
    const path = write('1 2\n3 4\n')
    expect(read(path)).toBe('1 2\n3 4\n')
    expect(read(join(directory, 'none'))).toBeUndefined()
    expect(read(join(path, 'below a file'))).toBeUndefined()
  })

  test('says why it may not read', () => {
    const path = write('secret')
    chmodSync(path, 0)
    try {
      expect(() => asNobody(() => read(path))).toThrow(
        expect.objectContaining({
          name: 'SourceError',
          reason: 'permission',
          message: expect.stringMatching(`^Cannot read ${path}: EACCES`),
        }),
      )
    } finally {
      chmodSync(path, 0o644)
    }
    expect(() => read(directory)).toThrow(
      expect.objectContaining({ reason: 'unsupported', message: expect.stringMatching('EISDIR') }),
    )
  })

  test.runIf(process.platform === 'linux')(
    'finds nothing in the file of a process that ended after it was opened',
    async () => {
      const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 600_000)'])
      await once(child, 'spawn')
      const fd = openSync(`/proc/${child.pid}/stat`, 'r')
      try {
        // This link leads to the file that is open, whose process is looked for only once it is read.
        const path = `/proc/self/fd/${fd}`
        expect(read(path)).toMatch(`${child.pid} `)
        child.kill('SIGKILL')
        await once(child, 'exit')
        expect(read(path)).toBeUndefined()
      } finally {
        closeSync(fd)
      }
    },
  )
})

describe('refusal()', () => {
  const failed = (code: unknown) => Object.assign(new Error('it failed'), { code })

  test.each(['ENOENT', 'ENOTDIR', 'ENXIO'])(
    'gives the reason for what is missing by %s',
    (code) => {
      expect(refusal('look', failed(code))).toMatchObject({ reason: 'unsupported' })
      expect(refusal('look', failed(code), 'vanished')).toMatchObject({ reason: 'vanished' })
    },
  )

  test.each([
    ['EPERM', 'permission'],
    ['EACCES', 'permission'],
    ['EMFILE', 'exhausted'],
    ['ESRCH', 'vanished'],
    ['EISDIR', 'unsupported'],
    [5, 'unsupported'],
  ])('gives the reason that %s stands for', (code, reason) => {
    expect(refusal('look', failed(code), 'timeout')).toMatchObject({ reason })
  })

  test('names the action, says what was thrown, and keeps it', () => {
    const cause = failed('EPERM')
    expect(refusal('look', cause)).toMatchObject({ message: 'Cannot look: it failed', cause })
    const without = refusal('look', new Error('no code'))
    expect(without).toMatchObject({ message: 'Cannot look: no code', reason: 'unsupported' })
    expect(refusal('look', 'thrown text').message).toBe('Cannot look: thrown text')
  })
})
