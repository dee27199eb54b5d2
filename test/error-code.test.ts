import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { codeOf } from '../src/error-code.ts'
import { SystemError } from '../src/kernel/libc.ts'

test('codeOf() tells the code of an error of Node and of a system call, and of nothing else', () => {
  let thrown: unknown
  try {
    readFileSync('/nowhere/at/all')
  } catch (error) {
    thrown = error
  }
  expect(codeOf(thrown)).toBe('ENOENT')
  expect(codeOf(new SystemError('socket', 1))).toBe('EPERM')
  expect(codeOf(new Error('plain'))).toBeUndefined()
  expect(codeOf(Object.assign(new Error('odd'), { code: 7 }))).toBeUndefined()
  expect(codeOf({ code: 'ENOENT' })).toBeUndefined()
  expect(codeOf(undefined)).toBeUndefined()
})
