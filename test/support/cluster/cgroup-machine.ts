// A machine with cgroups, containers and the rights to make them, for live tests of names and owners.

import { writeFileSync } from 'node:fs'
import type { TestContext } from 'vitest'
import { type Cgroups, withCgroups } from '../../owners/cgroup-holder.ts'
import { whyNotLive } from '../netns/live.ts'
import { hasProgram } from '../program/tools.ts'
import { withCgroupTree } from './cgroup-tree.ts'
import { type Container, type Containers, withContainers } from './containers.ts'

export interface Machine {
  readonly root: string
  readonly cgroups: Cgroups
  readonly containers: Containers
  /** Puts a process into a directory, which is made where it is missing. */
  readonly move: (process: { readonly pid: number }, path: string) => void
  /** Starts a container in a directory, likewise. */
  readonly start: (path: string, joined?: Container) => Promise<Container>
}

/** Skips with a reason where the machine lacks something. */
export async function liveTest(
  ctx: TestContext,
  use: (machine: Machine) => Promise<void>,
): Promise<void> {
  const missing = ['unshare', 'nsenter'].find((name) => !hasProgram(name))
  const why = whyNotLive() ?? (missing && `needs ${missing} of util-linux`)
  if (why !== undefined) return ctx.skip(why)
  await withCgroupTree(ctx, (root) =>
    withCgroups(root, (cgroups) =>
      withContainers(root, (containers) =>
        use({
          root,
          cgroups,
          containers,
          move({ pid }, path) {
            cgroups.make(path)
            writeFileSync(`${root}${path}/cgroup.procs`, String(pid))
          },
          start(path, joined) {
            cgroups.make(path)
            return containers.start(path, joined)
          },
        }),
      ),
    ),
  )
}
