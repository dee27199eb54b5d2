// A stand-in for the image's file system where there is no Docker: the tree as /app, Node as /nodejs/bin/node, and this
// machine's shared libraries in place of those of the base image.

import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The ENTRYPOINT of the Dockerfile. */
export const ENTRYPOINT = [
  '/nodejs/bin/node',
  '--disable-sigusr1',
  '--max-semi-space-size=4',
  '/app/dist/main.js',
] as const
/** What the base image calls nonroot, and the Dockerfile's USER. */
export const NONROOT = 65532

export interface RootfsOptions {
  /** Created; must not exist. */
  readonly out: string
  /** From assembleTree(). */
  readonly tree: string
  /** A binary of Node for this machine. */
  readonly node: string
}

export function createRootfs({ out, tree, node }: RootfsOptions): void {
  for (const folder of ['app', 'dev', 'etc', 'nodejs/bin', 'proc', 'sys', 'tmp', 'run']) {
    mkdirSync(join(out, folder), { recursive: true })
  }
  cpSync(tree, join(out, 'app'), { recursive: true })
  copyFileSync(node, join(out, 'nodejs/bin/node'))
  for (const binary of [node, ...listAddons(tree)]) {
    for (const library of listLibraries(binary)) {
      mkdirSync(join(out, dirname(library)), { recursive: true })
      copyFileSync(library, join(out, library))
    }
  }
  writeFileSync(
    join(out, 'etc/passwd'),
    `root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:${NONROOT}:${NONROOT}:nonroot:/home/nonroot:/sbin/nologin\n`,
  )
}

function listAddons(tree: string): string[] {
  return readdirSync(tree, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.node'))
    .map((path) => join(tree, path))
}

/** Absolute paths, the dynamic loader among them. */
function listLibraries(binary: string): string[] {
  const text = execFileSync('ldd', [binary], { encoding: 'utf8' })
  return [...text.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path = '']) => path)
}
