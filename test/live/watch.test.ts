// `status --watch` in a real terminal of 24 rows, with 60 namespaces: one screen, keys, and the scrollback as it was.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { whyNotLive } from '../support/netns/live.ts'
import { withNetnsCrowd } from '../support/netns/netns-crowd.ts'
import { waitFor } from '../support/program/program.ts'
import { hasProgram } from '../support/program/tools.ts'

const skipReason = hasProgram('script') ? whyNotLive() : 'needs script of util-linux'
const ROWS = 24

test('status --watch draws one screen and gives the terminal back', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  await withNetnsCrowd(async (crowd) => {
    await crowd.create({ count: 60, rangePorts: 100, sockets: 60 })
    const command = `stty rows ${ROWS} cols 90; exec ${process.execPath} dist/main.js status --watch --sample.interval=1s`
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      env: { ...process.env, TERM: 'xterm-256color', NO_COLOR: '' },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const closed = once(child, 'close')
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
    })
    const untilShown = (what: RegExp) => waitFor(async () => what.exec(text) ?? undefined)
    try {
      await untilShown(/of \d{2,} namespaces|All \d+ namespaces/)
      const [, all = ''] = await untilShown(/lines 1-23 of (\d{3,})/)
      child.stdin.write('\u001b[B')
      await untilShown(new RegExp(`lines 2-24 of ${all}`))
      child.stdin.write('\u001b[F')
      await untilShown(/lines \d+-(\d{3,}) of \1/)
      child.stdin.write('q')
      const [code] = await closed
      expect([0, 1, 2]).toContain(code)
    } finally {
      child.kill('SIGKILL')
      await closed
    }
    expect(text.split('\u001b[?1049h')).toHaveLength(2)
    expect(text).toMatch(/\?1049l\s*$/)
    expect(text).not.toMatch(/\[[23]J/)
    for (const frame of text.split('\u001b[H').slice(1)) {
      expect(frame.split('\r\n').filter((line) => line !== '').length).toBeLessThanOrEqual(ROWS + 1)
    }
  })
}, 120_000)
