// The cgroup v2 tree of this machine, for live tests that make directories in it. Where it is mounted nowhere, it is for as long
// as the test runs: it exists on every machine whose kernel has it, beside the hierarchies of version 1 too.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'vitest'
import { findCgroupRoot } from '../../../src/owners/cgroup-root.ts'
import { hasProgram } from '../program/tools.ts'

const LOCK = join(tmpdir(), 'ephemeral-port-exporter-test-pods.lock')

/**
 * Calls `use` with where the tree is, or skips with a reason where no directories can be made in it. Tests that share it run
 * beside each other, and one for which there may be no pods but its own (`alone`) runs beside none of them.
 */
export async function withCgroupTree(
  ctx: TestContext,
  use: (root: string) => Promise<void>,
  { alone = false }: { readonly alone?: boolean } = {},
): Promise<void> {
  if (process.platform !== 'linux') return ctx.skip(`needs Linux, this is ${process.platform}`)
  if (process.getuid?.() !== 0) return ctx.skip('needs root, to make cgroups')
  if (!hasProgram('flock')) return ctx.skip('needs flock of util-linux')
  const give = await takeLock(alone)
  try {
    await withMountedTree(ctx, use)
  } finally {
    await give()
  }
}

/** The lock is held by a process, which ends with this one whatever happens. Returns what gives it back. */
async function takeLock(alone: boolean): Promise<() => Promise<void>> {
  const args = [alone ? '--exclusive' : '--shared', LOCK, 'sh', '-c', 'echo taken && exec cat']
  const holder = spawn('flock', args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(holder, 'exit')
  const taken = await Promise.race([once(holder.stdout, 'data'), exited.then(() => undefined)])
  if (taken === undefined) throw new Error('Cannot take the lock of tests that make pods')
  return async () => {
    holder.stdin.end()
    await exited
  }
}

async function withMountedTree(
  ctx: TestContext,
  use: (root: string) => Promise<void>,
): Promise<void> {
  const mounted = findCgroupRoot(readFileSync('/proc/self/mountinfo', 'utf8'))
  if (mounted !== undefined) return useWritable(ctx, mounted, use)
  const root = mkdtempSync(join(tmpdir(), 'cgroup2-'))
  try {
    const { status, stderr, error } = spawnSync('mount', ['-t', 'cgroup2', 'cgroup2', root])
    if (status !== 0) return ctx.skip(`needs a cgroup v2 tree: ${error?.message ?? stderr}`)
    try {
      await useWritable(ctx, root, use)
    } finally {
      // Whoever ends just now may still be looking at it.
      spawnSync('umount', ['--lazy', root])
    }
  } finally {
    rmdirSync(root)
  }
}

async function useWritable(
  ctx: TestContext,
  root: string,
  use: (root: string) => Promise<void>,
): Promise<void> {
  const probe = `${root}/probe-${process.pid}`
  try {
    mkdirSync(probe)
    rmdirSync(probe)
  } catch (error) {
    return ctx.skip(`needs to make cgroups: ${error instanceof Error ? error.message : error}`)
  }
  await use(root)
}
