// The command `doctor`: Diagnosis -> what fails, what will bite and what to change, for people and for programs. Pure.

import type { Diagnosis } from '../diagnosis/diagnose.ts'
import type { Finding } from '../diagnosis/finding.ts'
import { listDistinct } from '../diagnosis/pool-diagnosis.ts'
import { worstOf } from '../diagnosis/severity.ts'
import { renderList, renderVisible } from '../diagnosis/words.ts'
import { renderPoolDiagnosis } from './pool-text.ts'
import { paint, paragraphWidth, plainText, renderLabelled, type Terminal, wrap } from './text.ts'

const MOST_NAMESPACES = 5

/** 0 healthy, 1 warning, 2 critical, 3 nothing could be read. */
export function doctorExitCode({ pools, findings, namespaces }: Diagnosis): 0 | 1 | 2 | 3 {
  if (namespaces.unread === namespaces.total) return 3
  const worst = worstOf([...pools, ...findings].map(({ severity }) => severity))
  return worst === 'critical' ? 2 : worst === 'warning' ? 1 : 0
}

/** One line. */
export function renderDoctorJson(diagnosis: Diagnosis): string {
  return `${JSON.stringify(diagnosis)}\n`
}

/** What fails first, then the findings, worst first, commands on lines of their own. Ends in a line break. */
export function renderDoctor(diagnosis: Diagnosis, terminal: Terminal = plainText): string {
  const { pools, findings } = diagnosis
  const blocks = [
    ...listDistinct(pools).map((pool) => renderPoolDiagnosis(pool, terminal)),
    ...findings.map((finding) => renderFinding(finding, terminal)),
  ]
  const commands = [
    ...findings.flatMap((finding) => finding.commands),
    ...pools.flatMap(({ remedies }) => remedies.map(({ command }) => command)),
  ]
  if (commands.some((command) => command?.includes('sysctl -w'))) {
    blocks.push(
      wrap(
        'sysctl -w lasts until the next boot, or as long as the namespace. For the host a file in /etc/sysctl.d with the ' +
          'same "name = value" lasts longer, for a pod its securityContext.',
        paragraphWidth(terminal),
      ),
    )
  }
  return blocks
    .map((lines, i) => {
      const dense = lines.length === 1 && blocks[i + 1]?.length === 1
      return `${lines.join('\n')}\n${dense || i === blocks.length - 1 ? '' : '\n'}`
    })
    .join('')
}

function renderFinding(
  { severity, namespaces, what, why, fix, commands }: Finding,
  terminal: Terminal,
): string[] {
  const [first = '', ...rest] = wrap(
    renderVisible([severity, renderNamespaces(namespaces), what].filter(Boolean).join(': ')),
    paragraphWidth(terminal),
  )
  const where = namespaces.length > 1 ? `for ${namespaces[0]}: ` : ''
  return [
    paint(severity, severity, terminal) + first.slice(severity.length),
    ...rest.map((line) => `  ${line}`),
    ...renderLabelled('    why: ', why, terminal),
    ...renderLabelled('    fix: ', fix, terminal),
    ...(commands.length > 0 && where !== '' ? [`         ${renderVisible(where)}`] : []),
    ...commands.map((command) => `         ${command}`),
  ]
}

/** One name, or how many there are and the first of them; empty for the whole machine. */
export function renderNamespaces(namespaces: readonly string[]): string {
  if (namespaces.length <= 1) return namespaces[0] ?? ''
  return `${namespaces.length} namespaces (${renderList(namespaces, MOST_NAMESPACES)})`
}
