// Started by a test in a namespace of its making: gives up every right for good, then tries and reads as the netlink source
// does. Its answer, as JSON on standard output, is an UnprivilegedAnswer.

import { readFileSync } from 'node:fs'
import { type Capabilities, probeCapabilities } from '../../src/kernel/capabilities.ts'
import { encodeDumpRequest } from '../../src/kernel/diag-request.ts'
import { openLibc } from '../../src/kernel/libc.ts'
import { readNetSettings } from '../../src/kernel/sysctl.ts'
import { planDumps } from '../../src/sources/netlink.ts'
import { surveyDump } from '../support/kernel/diag-survey.ts'

export interface UnprivilegedAnswer {
  readonly uid: number
  /** Hexadecimal digits of the capability sets. */
  readonly rights: readonly string[]
  readonly capabilities: Capabilities
  /** By the dumps of planDumps(), in order. */
  readonly rows: readonly (readonly string[])[]
}

const NOBODY = 65_534

async function main(): Promise<void> {
  const libc = await openLibc()
  process.setgroups?.([])
  process.setgid?.(NOBODY)
  process.setuid?.(NOBODY)

  const { range, ipv6 } = readNetSettings('/proc/sys')
  const capabilities = probeCapabilities(libc, range)
  const rows = planDumps(capabilities, ipv6).map(({ question, ...asked }) => {
    const request = encodeDumpRequest(question, { range, ...asked }, 1)
    return surveyDump(libc, request, question.kind === 'legacy' ? 'tcp' : question.protocol).rows
  })
  const status = readFileSync('/proc/thread-self/status', 'latin1')
  const answer: UnprivilegedAnswer = {
    uid: process.getuid?.() ?? -1,
    rights: [...status.matchAll(/^Cap(?:Inh|Prm|Eff):\s*([0-9a-f]+)$/gm)].map(
      ([, set = '']) => set,
    ),
    capabilities,
    rows,
  }
  process.stdout.write(JSON.stringify(answer))
}

await main()
