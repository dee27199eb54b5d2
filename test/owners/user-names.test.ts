import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createUserNames, parsePasswd } from '../../src/owners/user-names.ts'

describe('parsePasswd()', () => {
  test('takes the first name of a uid', () => {
    const text = 'root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\napp:*:1001:1001::/:\n'
    expect([...parsePasswd(text)]).toEqual([
      [0, 'root'],
      [1001, 'app'],
    ])
  })

  test('passes over what names nobody', () => {
    const text =
      '\n# note:x:1:\n+::::::\n-mallory:x:2:2:::\n:x:3:3:::\nshort:x:4\nbad:x:five:5:::\n'
    expect([...parsePasswd(text)]).toEqual([])
  })
})

describe('createUserNames()', () => {
  test('reads the file once, when it is asked', () => {
    const directory = mkdtempSync(join(tmpdir(), 'passwd-'))
    try {
      const path = join(directory, 'passwd')
      const names = createUserNames(path)
      writeFileSync(path, 'app:x:1001:1001::/:\n')
      expect(names().get(1001)).toBe('app')
      appendFileSync(path, 'late:x:1002:1002::/:\n')
      expect(names().get(1002)).toBeUndefined()
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  test('knows nobody where there is no file, or none that can be read', () => {
    expect(createUserNames('/nonexistent/passwd')().size).toBe(0)
    expect(createUserNames(import.meta.dirname)().size).toBe(0)
  })
})
