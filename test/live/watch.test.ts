// `status --watch` in a real terminal of 24 rows, with 60 namespaces: one screen, keys, and the scrollback as it was.

import { expect, test } from 'vitest'
import { whyNotLive } from '../support/netns/live.ts'
import { withNetnsCrowd } from '../support/netns/netns-crowd.ts'
import { findFreePort } from '../support/program/free-port.ts'
import { waitFor, withProgram } from '../support/program/program.ts'
import { ROWS, withTerminal } from '../support/program/terminal.ts'
import { hasProgram } from '../support/program/tools.ts'

const skipReason = hasProgram('script') ? whyNotLive() : 'needs script of util-linux'
test('status --watch draws one screen and gives the terminal back', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  await withNetnsCrowd(async (crowd) => {
    await crowd.create({ count: 60, rangePorts: 100, sockets: 60 })
    const text = await withTerminal('--sample.interval=1s', async ({ type, untilShown, ended }) => {
      await untilShown(/of \d{2,} namespaces|All \d+ namespaces/)
      // How many there are changes with the namespaces of others.
      await untilShown(/lines 1-23 of \d{3,}/)
      type('\u001b[B')
      await untilShown(/lines 2-24 of \d{3,}/)
      type('\u001b[F')
      await untilShown(/lines \d+-(\d{3,}) of \1/)
      type('q')
      const [code] = await ended
      expect([0, 1, 2]).toContain(code)
    })
    expect(text.split('\u001b[?1049h')).toHaveLength(2)
    expect(text).toMatch(/\?1049l\s*$/)
    expect(text).not.toMatch(/\[[23]J/)
    for (const frame of text.split('\u001b[H').slice(1)) {
      expect(frame.split('\r\n').filter((line) => line !== '').length).toBeLessThanOrEqual(ROWS + 1)
    }
  })
})

test('status --watch goes on by itself when the running exporter answers no more', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  const port = await findFreePort()
  const address = `--web.listen-address=127.0.0.1:${port}`
  await withProgram([address, '--sample.interval=1s', '--netns=self'], async ({ child }) => {
    await waitFor(async () => (await fetch(`http://127.0.0.1:${port}/-/ready`)).ok || undefined)
    await withTerminal(address, async ({ type, untilShown, ended }) => {
      await untilShown(new RegExp(`from the exporter at 127\\.0\\.0\\.1:${port}`))
      // It accepts connections still, and says nothing.
      child.kill('SIGSTOP')
      await untilShown(/sampled by this command/)
      type('q')
      const [code] = await ended
      expect([0, 1, 2]).toContain(code)
    })
  })
})
