import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readBuild, readRevision } from '../src/build.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'revision-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const IDENTITY = [
  '-c',
  'user.name=a',
  '-c',
  'user.email=a@example.org',
  '-c',
  'commit.gpgsign=false',
]
const git = (cwd: string, ...args: string[]) =>
  execFileSync('git', [...IDENTITY, ...args], { cwd, encoding: 'utf8', stdio: 'pipe' }).trim()

function commit(cwd: string): string {
  git(cwd, 'commit', '--quiet', '--allow-empty', '--message=one')
  return git(cwd, 'rev-parse', 'HEAD')
}

describe('readRevision()', () => {
  test('is the commit that git names, on a branch, after packing, and detached', () => {
    git(folder, 'init', '--quiet', '--initial-branch=some/branch')
    expect(readRevision(folder)).toBeUndefined()
    const first = commit(folder)
    expect(readRevision(folder)).toBe(first)
    git(folder, 'pack-refs', '--all')
    expect(readRevision(folder)).toBe(first)
    const second = commit(folder)
    expect(second).not.toBe(first)
    expect(readRevision(folder)).toBe(second)
    git(folder, 'checkout', '--quiet', '--detach', first)
    expect(readRevision(folder)).toBe(first)
  })

  test('is that of the worktree, not of its repository', () => {
    const [main, tree] = [join(folder, 'main'), join(folder, 'tree')]
    mkdirSync(main)
    git(main, 'init', '--quiet')
    const first = commit(main)
    git(main, 'worktree', 'add', '--quiet', '-b', 'other', tree)
    const second = commit(tree)
    expect([readRevision(main), readRevision(tree)]).toEqual([first, second])
  })

  test.each([
    ['no repository', () => {}],
    ['an empty one', () => mkdirSync(join(folder, '.git'))],
    ['a file that leads nowhere', () => writeFileSync(join(folder, '.git'), 'gitdir: /nowhere\n')],
    ['garbage', () => writeFileSync(join(folder, '.git'), '\0')],
  ])('is unknown with %s', (_name, prepare) => {
    prepare()
    expect(readRevision(folder)).toBeUndefined()
  })

  test('is not that of a repository around it', () => {
    git(folder, 'init', '--quiet')
    commit(folder)
    const inner = join(folder, 'node_modules/ephemeral-port-exporter')
    mkdirSync(inner, { recursive: true })
    expect(readRevision(inner)).toBeUndefined()
  })
})

test('readBuild() prefers what the packer says, and says where nothing is known', () => {
  const runtime = { version: 'v1', platform: 'linux', arch: 'x64' }
  const build = (content: object) => {
    writeFileSync(join(folder, 'package.json'), JSON.stringify(content))
    return readBuild(folder, runtime)
  }
  expect(build({ version: '1.2.3' })).toEqual({
    version: '1.2.3',
    revision: 'unknown',
    nodeVersion: 'v1',
    platform: 'linux',
    arch: 'x64',
  })
  git(folder, 'init', '--quiet')
  const revision = commit(folder)
  expect(build({ version: '1.2.3' }).revision).toBe(revision)
  expect(build({ version: '1.2.3', gitHead: 'abc' }).revision).toBe('abc')
})
