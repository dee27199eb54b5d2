// Programs that some tests need and a bare machine lacks.

import { spawnSync } from 'node:child_process'

/** Whether the program can be started at all. */
export function hasProgram(name: string): boolean {
  return spawnSync(name, ['--version'], { stdio: 'ignore' }).error === undefined
}
