// Why bpf(2) is refused, in words: what of the rights it needs the calling thread lacks.

import { readProcFile } from '../proc-file.ts'

/** include/uapi/linux/capability.h. */
const CAPABILITY = { CAP_SYS_ADMIN: 21n, CAP_PERFMON: 38n, CAP_BPF: 39n } as const

/** Completes the message of a refusal. Empty where the rights of the thread cannot be read. */
export function describeMissingRights(): string {
  const status = readProcFile('/proc/thread-self/status') ?? ''
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1]
  return effective === undefined ? '' : judgeRights(BigInt(`0x${effective}`))
}

/** `effective` is the set of capabilities, one bit each. */
export function judgeRights(effective: bigint): string {
  const has = (name: keyof typeof CAPABILITY) => ((effective >> CAPABILITY[name]) & 1n) === 1n
  const missing = (['CAP_BPF', 'CAP_PERFMON'] as const).filter((name) => !has(name))
  if (has('CAP_SYS_ADMIN') || missing.length === 0) {
    return '; the capabilities are there: a seccomp profile, a user namespace or lockdown forbids it'
  }
  return `; ${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} missing`
}
