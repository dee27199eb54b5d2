import {
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createNamedFiles } from '../../src/namespaces/named.ts'

/** Links to them look as if they were mounted there. Of namespaces the kind does not matter here. */
const FIRST = '/proc/self/ns/net'
const SECOND = '/proc/self/ns/mnt'
const inodeOf = (path: string) => statSync(path).ino

let directory: string
let hidden: string
beforeEach(() => {
  const root = mkdtempSync(join(tmpdir(), 'netns-'))
  directory = join(root, 'netns')
  hidden = join(root, 'hidden')
  mkdirSync(directory)
  mkdirSync(hidden)
})
afterEach(() => rmSync(join(directory, '..'), { recursive: true }))

/** Names a namespace through a second link, which can be changed without changing the directory. */
function give(name: string, target: string): void {
  rmSync(join(hidden, name), { force: true })
  symlinkSync(target, join(hidden, name))
  rmSync(join(directory, name), { force: true })
  symlinkSync(join(hidden, name), join(directory, name))
}

function changeBehind(name: string, target: string): void {
  rmSync(join(hidden, name))
  symlinkSync(target, join(hidden, name))
}

/** As if nothing had changed in it for a while. */
function settle(): void {
  utimesSync(directory, 1000, 1000)
}

const always = () => true
const never = () => false

describe.skipIf(process.platform !== 'linux')('createNamedFiles()', () => {
  test('lists what is a namespace, by name', () => {
    give('blue', SECOND)
    give('amber', FIRST)
    writeFileSync(join(directory, 'left-behind'), '')
    symlinkSync('/nowhere', join(directory, 'broken'))
    const files = createNamedFiles(directory)(never)
    expect(files.map(({ name, inode }) => [name, inode])).toEqual([
      ['amber', inodeOf(FIRST)],
      ['blue', inodeOf(SECOND)],
    ])
  })

  test('is empty without a directory, and sees it when it comes', () => {
    const list = createNamedFiles(join(directory, 'later'))
    expect(list(always)).toEqual([])
    mkdirSync(join(directory, 'later'))
    symlinkSync(FIRST, join(directory, 'later', 'blue'))
    expect(list(always).map(({ name }) => name)).toEqual(['blue'])
  })

  test('believes what is held as long as the directory has not changed, and looks once a minute', () => {
    give('blue', FIRST)
    settle()
    const list = createNamedFiles(directory)
    const before = list(always)
    changeBehind('blue', SECOND)
    expect(list(always)).toBe(before)
    const seen = Array.from({ length: 12 }, () => list(always)[0]?.inode)
    expect(new Set(seen)).toEqual(new Set([inodeOf(FIRST), inodeOf(SECOND)]))
    expect(seen[0]).toBe(inodeOf(FIRST))
  })

  test('looks at what is not held every time', () => {
    give('blue', FIRST)
    settle()
    const list = createNamedFiles(directory)
    const [before] = list(never)
    changeBehind('blue', SECOND)
    const [after] = list(never)
    expect(after?.inode).toBe(inodeOf(SECOND))
    expect(after?.key).not.toBe(before?.key)
  })

  test('looks at all when the directory has changed, or may have a moment ago', () => {
    give('blue', FIRST)
    settle()
    const list = createNamedFiles(directory)
    list(always)
    changeBehind('blue', SECOND)
    give('green', FIRST)
    expect(list(always).map(({ inode }) => inode)).toEqual([inodeOf(SECOND), inodeOf(FIRST)])
    // The same time stamp, but so young that it does not tell.
    changeBehind('blue', FIRST)
    expect(list(always)[0]?.inode).toBe(inodeOf(FIRST))
  })

  test('sees at once what becomes a namespace after its file was made', () => {
    writeFileSync(join(hidden, 'blue'), '')
    symlinkSync(join(hidden, 'blue'), join(directory, 'blue'))
    settle()
    const list = createNamedFiles(directory)
    expect(list(always)).toEqual([])
    changeBehind('blue', FIRST)
    expect(list(always)).toHaveLength(1)
  })
})
