// Namespaces whose names are made to hurt: whatever is printed for them is typed as it is, and does there what it says and
// nothing anywhere else; where the name cannot be typed, nothing is printed.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { Diagnosis } from '../../src/diagnosis/diagnose.ts'
import { whyNotExact } from '../support/netns/live.ts'
import { withNamedNetns } from '../support/netns/named-netns.ts'
import { type NetnsCrowd, withNetnsCrowd } from '../support/netns/netns-crowd.ts'
import { waitFor } from '../support/program/program.ts'
import { hasProgram } from '../support/program/tools.ts'

const missing = ['ip', 'nsenter', 'sysctl'].find((name) => !hasProgram(name))
const skipReason = whyNotExact() ?? (missing && `needs ${missing}`)
const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
const USUAL = '32768\t60999\n'
const RANGE = 'net.ipv4.ip_local_port_range'

const typed = ["it's", 'a"b', 'a b', '$(touch owned)', '`touch owned`', ';touch owned;', '~', '*']
const untyped = ['-all', '--help', 'a\ntouch owned', 'a\u001b[2Jb', 'a\u202eb', 'a\tb']

/** No other test has a range that begins here, whatever its size: equal ranges are one finding, named by either. */
const FIRST_PORT = 41_001 + (process.pid % 9000)

/** Each namespace has a range of a size of its own, so that no two findings are one. */
async function withNames(
  crowd: NetnsCrowd,
  [name, ...rest]: readonly string[],
  use: () => Promise<void>,
): Promise<void> {
  if (name === undefined) return await use()
  const rangePorts = 1000 + 2 * rest.length
  const member = await crowd.createOne({ firstPort: FIRST_PORT, rangePorts })
  await withNamedNetns(
    member.pid,
    async () => {
      await crowd.end([member])
      await withNames(crowd, rest, use)
    },
    name,
  )
}

/** Of that namespace, by no shell. */
function readRange(name?: string): string {
  const enter = name === undefined ? [] : [`--net=/run/netns/${name}`]
  const [file = '', ...args] = [...(name === undefined ? [] : ['nsenter', ...enter]), 'sysctl']
  return spawnSync(file, [...args, '-n', RANGE], { encoding: 'utf8' }).stdout
}

test('what doctor prints for odd names is safe to type, and cures', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  const cwd = mkdtempSync(join(tmpdir(), 'hostile-names-'))
  const names = [...typed, ...untyped].map((name) => `${name} ${process.pid}`)
  try {
    await withNetnsCrowd((crowd) =>
      withNames(crowd, names, async () => {
        const args = [MAIN, 'doctor', '--web.listen-address=127.0.0.1:1']
        const examine = async () => {
          const options = { cwd, encoding: 'utf8', maxBuffer: 2 ** 26 } as const
          const { stdout } = spawnSync(process.execPath, [...args, '--json'], options)
          const { findings }: Diagnosis = JSON.parse(stdout)
          const told = new Set(findings.map(({ namespaces: [first] }) => first))
          return names.every((name) => told.has(`named/${name}`)) ? findings : undefined
        }
        // On a machine full of namespaces one sample does not come to each of them.
        const findings = await waitFor(examine)
        const before = readRange()
        for (const [at, name] of names.entries()) {
          const own = findings.filter(({ namespaces: [first] }) => first === `named/${name}`)
          const range = own.find(({ what }) => what.includes('fewer than the usual'))
          expect(range, name).toBeDefined()
          const commands = own.flatMap((one) => one.commands)
          if (at >= typed.length) {
            expect(commands, name).toEqual([])
            expect(range?.fix).toContain('cannot be typed safely')
            continue
          }
          expect(range?.commands).toHaveLength(1)
          for (const command of commands) {
            const { status } = spawnSync('sh', ['-c', command], { cwd })
            expect(status, command).toBe(0)
          }
          expect(readRange(name), name).toBe(USUAL)
        }
        expect(readRange()).toBe(before)
        for (const name of names.slice(typed.length)) expect(readRange(name)).not.toBe(USUAL)
        const text = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' }).stdout
        expect(text).not.toMatch(/[^\P{C}\n]/u)
      }),
    )
    expect(readdirSync(cwd)).toEqual([])
  } finally {
    rmSync(cwd, { recursive: true })
  }
})
