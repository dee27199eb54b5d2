// The floor as a contender: floor.c, compiled into a temporary directory, waits for its turn in a process of its own and measures
// itself, so that neither its start nor ours is in the figure.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { PortRange } from '../../../src/observation.ts'
import { type Children, ROOT, withDeadline } from './children.ts'
import type { Cost } from './usage.ts'

const COMPILE_MS = 30_000
const SAMPLE_MS = 60_000

export interface Floor {
  sample(): Promise<{ readonly cost: Cost; readonly rows: number }>
}

/** Compiles a C file of this directory; `remove` deletes the program, which runs on without its file. Throws in plain words. */
export function compile(name: string): { readonly program: string; readonly remove: () => void } {
  const directory = mkdtempSync(join(tmpdir(), 'ephemeral-port-bench-'))
  const remove = () => rmSync(directory, { recursive: true, force: true })
  const program = join(directory, 'program')
  const source = join(ROOT, 'test/bench/cost', name)
  const compiled = spawnSync('gcc', ['-O2', '-Wall', '-o', program, source], {
    encoding: 'utf8',
    timeout: COMPILE_MS,
  })
  if (compiled.status === 0) return { program, remove }
  remove()
  throw new Error(`Cannot compile ${name} with gcc: ${compiled.error ?? compiled.stderr}`)
}

/**
 * Asks in our own namespace and in those behind the files, in the ways that `words` say, in the order of floor.c. Throws in plain
 * words where there is no compiler.
 */
export function openFloor(
  children: Children,
  range: PortRange,
  words: readonly ('idle-once' | 'files')[] = [],
  namespaces: readonly string[] = [],
): Floor {
  const { program, remove } = compile('floor.c')
  try {
    const { first, last } = range
    const args = [`${first}`, `${last}`, ...words, ...namespaces]
    const child = children.adopt(spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] }))
    const lines = createInterface(child.stdout)
    return {
      async sample() {
        const answer = once(lines, 'line')
        child.stdin.write('\n')
        const [line] = await withDeadline(answer, SAMPLE_MS, 'A sample of floor.c')
        const [rows = 0, cpuMicros = 0, wallMicros = 0] = String(line).split(' ').map(Number)
        return { cost: { cpuMs: cpuMicros / 1000, wallMs: wallMicros / 1000 }, rows }
      },
    }
  } finally {
    remove()
  }
}
