import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { reopensPorts } from '../../src/kernel/reopening.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'btf-'))
  writeFileSync(join(folder, 'carried'), 'tw_bucket\0tw_connect_bind\0tw_pad\0')
  writeFileSync(
    join(folder, 'plain'),
    'tw_bucket\0tw_pad\0my_tw_connect_bind\0tw_connect_bind_of\0',
  )
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('reopensPorts()', () => {
  test.each([
    ['6.17.8', true],
    ['6.17.10+deb14-amd64', true],
    ['6.18.0-rc1', true],
    ['6.18.44-fc-v657', true],
    ['7.0.0', true],
    ['10.1', true],
    ['6.17.7', false],
    ['6.17', false],
    ['6.12.43+deb13-amd64', false],
    ['6.1.0-50-cloud-amd64', false],
    ['5.10.240', false],
    ['', false],
  ])('judges %s by its number', (release, expected) => {
    expect(reopensPorts(release, join(folder, 'plain'))).toBe(expected)
    expect(reopensPorts(release, join(folder, 'missing'))).toBe(expected)
  })

  test('believes the types of an older kernel that a distribution has changed', () => {
    expect(reopensPorts('6.17.0-14-generic', join(folder, 'carried'))).toBe(true)
  })
})
