// What systeminformation itself makes of a recorded answer of netstat or ss: it runs in a process of its own that believes
// to be on the platform, with programs in its PATH that print the recording.

import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ConnectionRow } from '../../src/sources/connection-rows.ts'

const LIST = `
  Object.defineProperty(process, 'platform', { value: process.argv[1] })
  require(process.argv[2]).networkConnections().then((rows) => console.log(JSON.stringify(rows)))`

/** `programs` gives the recording, a file of fixtures/netstat, that each program prints. */
export function listRecordedConnections(
  platform: string,
  programs: Readonly<Record<string, string>>,
): readonly ConnectionRow[] {
  const bin = mkdtempSync(join(tmpdir(), 'bin-'))
  try {
    for (const [program, recording] of Object.entries(programs)) {
      const path = fileURLToPath(new URL(`../fixtures/netstat/${recording}`, import.meta.url))
      writeFileSync(join(bin, program), `#!/bin/sh\nexec /bin/cat '${path}'\n`)
      chmodSync(join(bin, program), 0o755)
    }
    for (const program of ['grep', 'head', 'cat']) {
      writeFileSync(join(bin, program), `#!/bin/sh\nPATH=/usr/bin:/bin\nexec ${program} "$@"\n`)
      chmodSync(join(bin, program), 0o755)
    }
    const library = createRequire(import.meta.url).resolve('systeminformation')
    const answer = execFileSync(process.execPath, ['-e', LIST, platform, library], {
      env: { PATH: bin },
      encoding: 'utf8',
    })
    return JSON.parse(answer)
  } finally {
    rmSync(bin, { recursive: true })
  }
}
