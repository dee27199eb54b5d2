// The image's file system as the smoke test makes it, with the Node that CI installs for its second run.

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createRootfs } from '../../../deploy/image/rootfs.ts'
import { assembleTree } from '../../../deploy/image/tree.ts'
import { whyNotLive } from '../netns/live.ts'
import { hasProgram } from '../program/tools.ts'

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
export const REVISION = '0123456789abcdef0123456789abcdef01234567'

export interface Image {
  /** What is /app in it. */
  readonly tree: string
  readonly rootfs: string
  remove(): void
}

/** The reason for `ctx.skip(reason)`, or undefined where the image's file system can be made and started. */
export function whyNoImage(): string | undefined {
  if (findNode24() === undefined) return 'needs Node 24 where .ci/run installs it'
  if (!hasProgram('capsh')) return 'needs capsh, of libcap2-bin'
  return whyNotLive()
}

/** For whatever assembles the tree: npm and the compiler take half a minute, and many times that on a busy machine. */
export const IMAGE_TIMEOUT_MS = 600_000

/** Takes half a minute, most of it npm's. */
export function buildImage(): Image {
  const folder = mkdtempSync(join(tmpdir(), 'image-'))
  const tree = join(folder, 'tree')
  const rootfs = join(folder, 'rootfs')
  const cpu = process.arch === 'arm64' ? 'arm64' : 'x64'
  assembleTree({ root: ROOT, out: tree, target: { cpu, libc: 'glibc' }, revision: REVISION })
  createRootfs({ out: rootfs, tree, node: findNode24() ?? process.execPath })
  return { tree, rootfs, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

/** The Node of the image, or undefined where nobody has installed it. */
export function findNode24(): string | undefined {
  if (process.version.startsWith('v24.')) return process.execPath
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
  const node = join(
    cache,
    `ephemeral-port-exporter/node-24.21.0/node_modules/node-linux-${process.arch}/bin/node`,
  )
  return existsSync(node) ? node : undefined
}
