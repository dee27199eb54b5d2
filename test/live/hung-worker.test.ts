// A worker that hangs in a system call for ever, and whatever ends the program: no way of ending may wait for it.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findFreePort } from '../support/program/free-port.ts'
import { type HangingProcfs, makeHangingProcfs } from '../support/program/hanging-procfs.ts'
import { waitFor, withProgram } from '../support/program/program.ts'
import { withTerminal } from '../support/program/terminal.ts'
import { hasProgram } from '../support/program/tools.ts'

const skipReason = process.platform === 'linux' ? undefined : 'needs Linux'

async function withHangingProcfs(
  use: (procfs: HangingProcfs, flags: readonly string[]) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'hung-'))
  const procfs = makeHangingProcfs(directory)
  const port = await findFreePort()
  try {
    await use(procfs, [
      `--web.listen-address=127.0.0.1:${port}`,
      '--netns=self',
      '--source=procfs',
      `--path.procfs=${directory}`,
      '--sample.interval=200ms',
    ])
  } finally {
    procfs.close()
    rmSync(directory, { recursive: true })
  }
}

test.for(['before the first sample', 'in a later one'])(
  'SIGTERM ends a program whose worker hangs %s',
  async (when, { skip }) => {
    if (skipReason !== undefined) return skip(skipReason)
    await withHangingProcfs(async (procfs, flags) => {
      const isLater = when === 'in a later one'
      if (!isLater) procfs.hang()
      await withProgram(flags, async ({ child, ended, stderr }) => {
        if (isLater) {
          await waitFor(async () => stderr().includes('Reading sockets') || undefined)
          procfs.hang()
        }
        await procfs.untilHung()
        child.kill('SIGTERM')
        expect((await ended()).status).toBe('SIGKILL')
        expect(stderr()).toMatch(
          /hangs in the kernel, ending the process" reason="it was told to end"/,
        )
      })
    })
  },
)

test('status --watch gives the terminal back although its worker hangs', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  if (!hasProgram('script')) return ctx.skip('needs script of util-linux')
  await withHangingProcfs(async (procfs, flags) => {
    procfs.hang()
    const text = await withTerminal(flags.join(' '), async ({ type, ended }) => {
      await procfs.untilHung()
      type('q')
      const [code] = await ended
      expect(code).toBe(128 + 9)
    })
    expect(text).toMatch(/\?1049l/)
  })
})
