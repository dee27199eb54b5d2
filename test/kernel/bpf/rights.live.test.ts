// Who may read bind buckets: each combination of rights tried by a process that has no other.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { KERNEL_BTF } from '../../../src/kernel/bpf/buckets.ts'
import { whyNoBuckets } from './permitted.ts'
import type { RightsAnswer } from './rights-reader.ts'

const SETPRIV = '/usr/bin/setpriv'
const skipReason =
  (await whyNoBuckets()) ?? (existsSync(SETPRIV) ? undefined : 'needs setpriv of util-linux')

/** A command prefix: nobody with these capabilities and no other. */
function nobodyWith(...names: readonly string[]): string[] {
  const sets = ['-all', ...names.map((name) => `+${name}`)].join(',')
  return [
    ...[SETPRIV, '--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs'],
    ...[`--inh-caps=${sets}`, `--ambient-caps=${sets}`, `--bounding-set=${sets}`],
  ]
}

/** Tries in a process of its own. `arguments_` as rights-reader.ts takes them. */
function tryWith(command: readonly string[], ...arguments_: readonly string[]): RightsAnswer {
  const reader = 'test/kernel/bpf/rights-reader.ts'
  const [program = '', ...rest] = [...command, process.execPath, '--import', 'tsx', reader]
  const all = [...rest, ...(arguments_.length === 0 ? [KERNEL_BTF] : arguments_)]
  const { stdout, stderr } = spawnSync(program, all, { encoding: 'utf8', timeout: 300_000 })
  expect(stdout, stderr).not.toBe('')
  return JSON.parse(stdout)
}

const FORBIDDEN = 'Cannot read bind buckets: cannot load the program: bpf: EPERM; '
const OTHERWISE =
  'the capabilities are there: a seccomp profile, a user namespace or lockdown forbids it'
const works: RightsAnswer = { told: [1, 0] }
const refused = (why: string): RightsAnswer => ({
  reason: 'permission',
  message: `${FORBIDDEN}${why}`,
})

const cases: Readonly<Record<string, readonly [() => RightsAnswer, RightsAnswer]>> = {
  'nobody with CAP_BPF and CAP_PERFMON': [() => tryWith(nobodyWith('bpf', 'perfmon')), works],
  'nobody with CAP_SYS_ADMIN': [() => tryWith(nobodyWith('sys_admin')), works],
  'nobody with CAP_BPF alone': [
    () => tryWith(nobodyWith('bpf')),
    refused('CAP_PERFMON is missing'),
  ],
  'nobody with CAP_PERFMON alone': [
    () => tryWith(nobodyWith('perfmon')),
    refused('CAP_BPF is missing'),
  ],
  'nobody with no right': [
    () => tryWith(nobodyWith()),
    refused('CAP_BPF and CAP_PERFMON are missing'),
  ],
  'root by number, without capabilities': [
    () => tryWith([SETPRIV, '--bounding-set=-all', '--no-new-privs']),
    refused('CAP_BPF and CAP_PERFMON are missing'),
  ],
  'root of a user namespace': [
    () => tryWith(['unshare', '--user', '--map-root-user']),
    refused(OTHERWISE),
  ],
  'root under a seccomp profile without bpf()': [
    () => tryWith([], KERNEL_BTF, 'seccomp'),
    refused(OTHERWISE),
  ],
  'root where the kernel has no BTF': [
    () => tryWith([], '/nowhere/vmlinux'),
    {
      reason: 'unsupported',
      message:
        "Cannot read the kernel's types from /nowhere/vmlinux: ENOENT: no such file or directory, stat '/nowhere/vmlinux'",
    },
  ],
}

test.for(Object.entries(cases))('%s', ([, [attempt, expected]], context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  expect(attempt()).toEqual(expected)
})

test('unprivileged BPF is switched off, or these rights would prove less', (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  const state = readFileSync('/proc/sys/kernel/unprivileged_bpf_disabled', 'utf8').trim()
  if (state === '0') return context.skip('kernel.unprivileged_bpf_disabled is 0 here')
  expect(['1', '2']).toContain(state)
})
