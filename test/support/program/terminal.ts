// `status --watch` in a real terminal of 24 rows, which script of util-linux makes.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { waitFor } from './program.ts'

export const ROWS = 24

/** `status --watch` with those flags in a terminal, and what it has written so far. */
export async function withTerminal(
  flags: string,
  use: (terminal: {
    readonly type: (keys: string) => void
    readonly untilShown: (what: RegExp) => Promise<RegExpExecArray>
    readonly ended: Promise<unknown[]>
  }) => Promise<void>,
): Promise<string> {
  const command = `stty rows ${ROWS} cols 90; exec ${process.execPath} dist/main.js status --watch ${flags}`
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    env: { ...process.env, TERM: 'xterm-256color', NO_COLOR: '' },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
  })
  try {
    await use({
      type: (keys) => child.stdin.write(keys),
      untilShown: (what) => waitFor(async () => what.exec(text) ?? undefined),
      ended,
    })
  } finally {
    child.kill('SIGKILL')
    await ended
  }
  return text
}
