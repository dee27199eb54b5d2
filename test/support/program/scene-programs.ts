// The programs that make scenes for tests, in processes of their own: actors, crowds and peers. Before live tests they are
// compiled once, as Vitest's global setup, because tsx takes longer to start than all they do at their start.

import { execFileSync } from 'node:child_process'
import { resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../../..')
/** Two versions of Node may be tested at the same time. */
const COMPILED = `build/scene-programs/${process.version}`
/** Tells the processes of a test run that the programs are compiled. */
const TELLING = 'TEST_SCENE_PROGRAMS'

/** Compiles them for this test run. */
export function setup(): void {
  const options = ['-p', 'test/support/tsconfig.json', '--outDir', COMPILED]
  execFileSync('node_modules/.bin/tsc', options, { cwd: ROOT, stdio: 'inherit' })
  process.env[TELLING] = COMPILED
}

/** The command that runs such a program, whose path begins at the root of the repository, as must the working directory. */
export function commandOf(path: string): readonly [string, ...string[]] {
  const compiled = process.env[TELLING]
  if (compiled === undefined) return [process.execPath, '--import', 'tsx', path]
  return [process.execPath, `${compiled}/${path.replace(/\.ts$/, '.js')}`]
}
