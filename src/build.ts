// Which program this is: package.json and, in a clone, the files that git keeps -> Build. No subprocess.
// https://git-scm.com/docs/gitrepository-layout

import { readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Build } from './snapshot.ts'

const COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/

interface Runtime {
  readonly version: string
  readonly platform: string
  readonly arch: string
}

/** Reads the build of the package in `root`. Who packs it for others names the commit as `gitHead`. */
export function readBuild(root: string, { version: nodeVersion, platform, arch }: Runtime): Build {
  const text = readFileSync(join(root, 'package.json'), 'utf8')
  const { version, gitHead }: { version: string; gitHead?: string } = JSON.parse(text)
  const revision = gitHead ?? readRevision(root) ?? 'unknown'
  return { version, revision, nodeVersion, platform, arch }
}

/** Undefined where `root` is no clone, or has no commit yet. Never throws. */
export function readRevision(root: string): string | undefined {
  const directory = findGitDirectory(join(root, '.git'))
  if (directory === undefined) return undefined
  const head = read(join(directory, 'HEAD'))
  const ref = head?.match(/^ref: (refs\/\S+)$/)?.[1]
  if (ref === undefined) return takeCommit(head)
  // Branches of a worktree are kept where its repository is.
  const common = resolve(directory, read(join(directory, 'commondir')) ?? '.')
  return (
    takeCommit(read(join(directory, ref))) ??
    takeCommit(read(join(common, ref))) ??
    findPacked(read(join(common, 'packed-refs')) ?? '', ref)
  )
}

/** In a worktree, and in a submodule, .git is a file that says where the directory is. */
function findGitDirectory(path: string): string | undefined {
  if (isDirectory(path)) return path
  const link = read(path)?.match(/^gitdir: (.+)$/)?.[1]
  return link === undefined ? undefined : resolve(path, '..', link)
}

function findPacked(refs: string, ref: string): string | undefined {
  return takeCommit(
    refs
      .split('\n')
      .find((line) => line.endsWith(` ${ref}`))
      ?.split(' ')[0],
  )
}

function takeCommit(text: string | undefined): string | undefined {
  return text !== undefined && COMMIT.test(text) ? text : undefined
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

/** Undefined where it cannot be read; without the line break at the end. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trimEnd()
  } catch {
    return undefined
  }
}
