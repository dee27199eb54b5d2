// Assembles what the image adds to its base, /app: the compiled program, package.json and the production node_modules
// without what is never read. The Dockerfile and the tests use this one function, so that what is tested is what ships.

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { isKept, type Target } from './prune.ts'

export interface TreeOptions {
  /** The checkout, with its development dependencies installed. */
  readonly root: string
  /** Created; must not exist. */
  readonly out: string
  readonly target: Target
  /** The commit, for ephemeral_port_exporter_build_info; undefined where unknown. */
  readonly revision: string | undefined
}

/** NB: what a package may not do at install time it may not do here either: no script of any package runs. */
export function assembleTree({ root, out, target, revision }: TreeOptions): void {
  mkdirSync(out)
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  run(
    process.execPath,
    [compiler, '-p', 'tsconfig.build.json', '--outDir', join(out, 'dist')],
    root,
  )
  const staging = mkdtempSync(join(tmpdir(), 'image-tree-'))
  try {
    for (const name of ['package.json', 'package-lock.json', '.npmrc']) {
      copyFileSync(join(root, name), join(staging, name))
    }
    const platform = ['--os=linux', `--cpu=${target.cpu}`, `--libc=${target.libc}`]
    run('npm', ['ci', '--omit=dev', '--ignore-scripts', '--loglevel=error', ...platform], staging)
    const installed = join(staging, 'node_modules')
    const kept = listFiles(installed).filter((path) => isKept(path, target))
    checkLibrary(kept, target)
    for (const path of kept) {
      const copy = join(out, 'node_modules', path)
      mkdirSync(dirname(copy), { recursive: true })
      copyFileSync(join(installed, path), copy)
    }
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
  const manifest: Readonly<Record<string, unknown>> = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  )
  writeFileSync(join(out, 'package.json'), renderManifest(manifest, revision))
  copyFileSync(join(root, 'LICENSE'), join(out, 'LICENSE'))
  for (const path of ['.', ...readdirSync(out, { recursive: true, encoding: 'utf8' })]) {
    const file = join(out, path)
    chmodSync(file, statSync(file).isDirectory() ? 0o755 : 0o644)
  }
}

/**
 * Throws where the library that asks the kernel is not among the `kept` files: npm leaves out an optional package that it
 * cannot fetch, without a word, and the image would read /proc only.
 */
export function checkLibrary(kept: readonly string[], { cpu, libc }: Target): void {
  if (kept.some((path) => path.endsWith('/koffi.node'))) return
  throw new Error(`npm has installed no koffi for linux, ${cpu}, ${libc}: could it be fetched?`)
}

/** The manifest of the tree: no scripts, no dependencies to install; `gitHead` is where the program looks for its revision. */
export function renderManifest(
  manifest: Readonly<Record<string, unknown>>,
  revision: string | undefined,
): string {
  const { name, version, description, license, type, engines } = manifest
  const kept = { name, version, description, license, type, engines, gitHead: revision }
  return `${JSON.stringify(kept, null, 2)}\n`
}

export interface TreeSize {
  readonly files: number
  readonly bytes: number
  /** By what it is: the program, each of the packages. Largest first. */
  readonly parts: readonly { readonly part: string; readonly bytes: number }[]
}

export function measureTree(tree: string): TreeSize {
  const sizes = listFiles(tree).map((path) => ({ path, bytes: statSync(join(tree, path)).size }))
  const parts = new Map<string, number>()
  for (const { path, bytes } of sizes) {
    const part = /^node_modules\/(@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? path.split('/')[0] ?? path
    parts.set(part, (parts.get(part) ?? 0) + bytes)
  }
  return {
    files: sizes.length,
    bytes: sizes.reduce((sum, { bytes }) => sum + bytes, 0),
    parts: [...parts]
      .map(([part, bytes]) => ({ part, bytes }))
      .sort((one, other) => other.bytes - one.bytes),
  }
}

/** Relative paths of the regular files, with slashes. */
export function listFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}

function run(command: string, args: readonly string[], cwd: string): void {
  execFileSync(command, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'] })
}
