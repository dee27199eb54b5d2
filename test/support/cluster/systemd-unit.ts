// The systemd unit and its drop-ins: text -> settings, and what systemd-analyze says of them in a root of their own. Nothing
// is started.

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const FOLDER = fileURLToPath(new URL('../../../deploy/systemd', import.meta.url))
export const UNIT = 'ephemeral-port-exporter.service'
export const dropIns = ['setns.conf', 'failures.conf', 'buckets.conf', 'nat.conf'] as const
export type DropIn = (typeof dropIns)[number]

export interface Setting {
  readonly section: string
  readonly key: string
  readonly value: string
}

export function parseUnit(text: string): Setting[] {
  const settings: Setting[] = []
  let section = ''
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const [, head] = /^\[(\w+)\]$/.exec(line) ?? []
    const [, key, value = ''] = /^(\w+)=(.*)$/.exec(line) ?? []
    if (head !== undefined) section = head
    else if (key !== undefined) settings.push({ section, key, value })
    else throw new SyntaxError(`Cannot parse the line ${JSON.stringify(line)} of a unit`)
  }
  return settings
}

export function readUnit(file: string): Setting[] {
  return parseUnit(readFileSync(join(FOLDER, file), 'utf8'))
}

/** What the service may do once the drop-ins are read after it, later lines adding to or replacing earlier ones. */
export function takeCapabilities(settings: readonly Setting[], key: string): string[] {
  const values = settings.filter((setting) => setting.key === key).map(({ value }) => value)
  return values.slice(values.lastIndexOf('') + 1).flatMap((value) => value.split(' '))
}

export interface Analysis {
  readonly status: number | null
  readonly output: string
}

/** Runs systemd-analyze on the unit in a root with the machine's own units, the program installed and the drop-ins in place. */
export function analyzeUnit(
  use: readonly DropIn[],
  args: readonly string[],
  edit: (unit: string) => string = (unit) => unit,
): Analysis {
  const root = mkdtempSync(join(tmpdir(), 'systemd-root-'))
  try {
    const units = join(root, 'etc/systemd/system')
    mkdirSync(join(units, `${UNIT}.d`), { recursive: true })
    mkdirSync(join(root, 'usr/bin'), { recursive: true })
    cpSync('/lib/systemd/system', join(root, 'lib/systemd/system'), {
      recursive: true,
      verbatimSymlinks: true,
    })
    writeFileSync(join(units, UNIT), edit(readFileSync(join(FOLDER, UNIT), 'utf8')))
    for (const name of use) copyFileSync(join(FOLDER, name), join(units, `${UNIT}.d`, name))
    const program = join(root, 'usr/bin/ephemeral-port-exporter')
    writeFileSync(program, '#!/bin/sh\n')
    chmodSync(program, 0o755)
    const [verb = '', ...rest] = args
    const { status, stdout, stderr } = spawnSync(
      'systemd-analyze',
      [verb, `--root=${root}`, ...rest, UNIT],
      { encoding: 'utf8', env: { ...process.env, SYSTEMD_COLORS: '0', LC_ALL: 'C.UTF-8' } },
    )
    return { status, output: stdout + stderr }
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

/** The system calls that lines of SystemCallFilter leave, read in order: a first list allows, one with ~ takes away. */
export function listAllowedCalls(filters: readonly string[]): Set<string> {
  const allowed = new Set<string>()
  for (const filter of filters) {
    const words = filter.replace(/^~/, '').split(' ')
    for (const call of words.flatMap(listCalls)) {
      if (filter.startsWith('~')) allowed.delete(call)
      else allowed.add(call)
    }
  }
  // NB: systemd allows these whatever the filter says, since no program could be started otherwise.
  for (const call of listCalls('@default')) allowed.add(call)
  return allowed
}

function listCalls(word: string): string[] {
  if (!word.startsWith('@')) return [word]
  const { stdout } = spawnSync('systemd-analyze', ['syscall-filter', word], { encoding: 'utf8' })
  return stdout
    .split('\n')
    .slice(1)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .flatMap(listCalls)
}
