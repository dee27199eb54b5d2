// A finding of `doctor` and what it is judged from; findings -> text for people. Pure.

import type { NamespaceState } from '../snapshot.ts'
import { type Health, severityOf } from './health.ts'
import { renderVisible, terminalColumns, wrap } from './text.ts'

export interface Finding {
  readonly severity: Health | 'note'
  readonly netns: string
  readonly what: string
  /** Empty for what is ok. */
  readonly why: string
  /** What to change; empty where there is nothing to change. */
  readonly fix: string
  /** To be typed into a shell as they are. */
  readonly commands: readonly string[]
}

export interface Ports {
  readonly first: number
  readonly last: number
}

/** What a Snapshot does not say. */
export interface HostFacts {
  /** As Node names it: linux, darwin, win32. */
  readonly platform: string
  /** Ports that the exporter listens on, or would. */
  readonly listenPorts: readonly number[]
}

/** One namespace under examination. */
export interface Patient {
  readonly netns: string
  readonly state: NamespaceState
  readonly facts: HostFacts
  /** Whether some namespace is read through netlink: it then works on this machine. */
  readonly netlinkWorks: boolean
}

/** Looks at one exposure; says ok where there is none, and nothing where it cannot know. */
export type Check = (patient: Patient) => readonly Finding[]

/** Builds a finding; commands are Linux' and left out elsewhere. */
export function createFinding(
  { netns, facts }: Patient,
  severity: Finding['severity'],
  { what, why = '', fix = '', commands = [] }: Partial<Finding> & { readonly what: string },
): Finding {
  return { severity, netns, what, why, fix, commands: facts.platform === 'linux' ? commands : [] }
}

export interface RenderOptions {
  /** Colours the severity. */
  readonly tty?: boolean
}

/** Worst first, paragraphs within the terminal's width, commands on lines of their own. Ends in a line break. */
export function renderFindings(
  findings: readonly Finding[],
  { tty = false }: RenderOptions = {},
): string {
  const sorted = findings.toSorted((a, b) => rankOf(b) - rankOf(a))
  const blocks = sorted.map((finding) => renderFinding(finding, tty))
  if (findings.some(({ commands }) => commands.some((command) => command.includes('sysctl -w')))) {
    blocks.push(
      wrap(
        'sysctl -w lasts until the next boot: a file in /etc/sysctl.d with the same "name = value" lasts longer.',
        terminalColumns,
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

function renderFinding({ severity, netns, what, why, fix, commands }: Finding, tty: boolean) {
  const [first = '', ...rest] = wrap(
    renderVisible(`${severity}: ${netns}: ${what}`),
    terminalColumns,
  )
  const label = tty ? `${colours[severity]}${severity}\u001b[0m` : severity
  return [
    label + first.slice(severity.length),
    ...rest.map((line) => `  ${line}`),
    ...renderParagraph('why', why),
    ...renderParagraph('fix', fix),
    ...commands.map((command) => `         ${renderVisible(command)}`),
  ]
}

const colours = {
  ok: '\u001b[32m',
  note: '\u001b[36m',
  warning: '\u001b[33m',
  critical: '\u001b[31m',
} as const

function renderParagraph(label: string, text: string): string[] {
  return wrap(renderVisible(text), terminalColumns - 9).map((line, i) =>
    i === 0 ? `    ${label}: ${line}` : `         ${line}`,
  )
}

// A note stands between ok and warning.
function rankOf({ severity }: Finding): number {
  return severity === 'note' ? 0.5 : severityOf(severity)
}
