// systemd's own word on the unit and its drop-ins, and the program's on the system calls they leave it.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import {
  analyzeUnit,
  type DropIn,
  listAllowedCalls,
  readUnit,
  UNIT,
} from '../support/cluster/systemd-unit.ts'
import { findFreePort } from '../support/program/free-port.ts'
import { waitFor, withProgram } from '../support/program/program.ts'
import { hasProgram } from '../support/program/tools.ts'

beforeEach((ctx) => {
  if (!hasProgram('systemd-analyze')) ctx.skip('needs systemd-analyze, of systemd')
})

/** Highest exposure on systemd's scale from 0 to 10, where 10 is a service that may do anything. */
const variants: readonly (readonly [name: string, use: readonly DropIn[], exposure: number])[] = [
  ['the unit', [], 1.5],
  ['with setns.conf', ['setns.conf'], 2.4],
  ['with failures.conf', ['failures.conf'], 2.2],
  ['with buckets.conf', ['buckets.conf'], 2.2],
  ['with nat.conf', ['nat.conf'], 2.2],
  ['with all of them', ['setns.conf', 'failures.conf', 'buckets.conf', 'nat.conf'], 3.3],
]

describe.each(variants)('%s', (_name, use, exposure) => {
  test('is what systemd understands', () => {
    expect(analyzeUnit(use, ['verify'])).toEqual({ status: 0, output: '' })
  })

  test(`is exposed by ${exposure} at most`, () => {
    const threshold = `--threshold=${Math.round(exposure * 10)}`
    const { status, output } = analyzeUnit(use, ['security', '--offline=true', threshold])
    expect(output).toMatch(/Overall exposure level for ephemeral-port-exporter\.service: \d\.\d OK/)
    expect(status, output).toBe(0)
  })
})

test('systemd objects to a mistake and to more exposure, so that its silence means something', () => {
  const typed = analyzeUnit([], ['verify'], (unit) => unit.replace('DynamicUser=', 'DynamicUsr='))
  expect(typed.output).toContain("Unknown key 'DynamicUsr'")
  const exposed = analyzeUnit([], ['security', '--offline=true', '--threshold=15'], (unit) =>
    unit.replace('CapabilityBoundingSet=\n', ''),
  )
  expect(exposed.status).toBe(1)
})

test('setns.conf lets network namespaces be entered, and no other kind', () => {
  const kinds = (use: readonly DropIn[]) =>
    [
      ...analyzeUnit(use, ['security', '--offline=true']).output.matchAll(
        /^. RestrictNamespaces=~(\w+)/gm,
      ),
    ]
      .filter(([line]) => line.startsWith('✗'))
      .map(([, kind]) => kind)
  expect(kinds([])).toEqual([])
  expect(kinds(['setns.conf'])).toEqual(['net'])
})

test.for([
  ['the unit', [], ['--no-collector.buckets']],
  ['the unit with buckets.conf', ['buckets.conf'], ['--collector.buckets']],
] as const)('the program makes no system call that $0 forbids', async ([, use, flags], ctx) => {
  if (!hasProgram('strace')) ctx.skip('needs strace')
  const filters = [UNIT, ...use]
    .flatMap(readUnit)
    .flatMap(({ key, value }) => (key === 'SystemCallFilter' ? [value] : []))
  const allowed = listAllowedCalls(filters)
  expect(allowed.has('bpf')).toBe(use.length > 0)
  expect(allowed).toContain('setns')
  expect(allowed).not.toContain('mount')
  const folder = mkdtempSync(join(tmpdir(), 'strace-'))
  try {
    const port = await findFreePort()
    const trace = join(folder, 'trace')
    const command = ['strace', '-f', '-qq', '-o', trace, process.execPath, 'dist/main.js']
    await withProgram(
      [`--web.listen-address=127.0.0.1:${port}`, '--sample.interval=200ms', ...flags],
      async () => {
        const get = async (path: string) => await fetch(`http://127.0.0.1:${port}${path}`)
        await waitFor(async () => (await get('/-/ready')).ok || undefined)
        expect(await (await get('/metrics')).text()).toContain(
          'ephemeral_port_pool_available_ports',
        )
      },
      { command },
    )
    const lines = readFileSync(trace, 'latin1')
    const used = new Set([...lines.matchAll(/^\d+ +([a-z_0-9]+)\(/gm)].map(([, name = '']) => name))
    expect(used).toContain('recvfrom')
    expect([...used].filter((name) => !allowed.has(name)).sort()).toEqual([])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
