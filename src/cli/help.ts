// The table of options -> the text of --help. Pure.

import { commands, envNameOf, type OptionName, optionNames, optionOf } from '../config/options.ts'
import { describeExitStatus } from '../diagnosis/severity.ts'
import { wrap } from './text.ts'

const columns = 96
const indent = 34

export function renderHelp(): string {
  const groups = [...new Set(optionNames.map((name) => optionOf(name).group))]
  const sections = groups.map((group) => [
    `${group}:`,
    ...optionNames
      .filter((name) => optionOf(name).group === group)
      .flatMap((name) => renderEntry(renderFlag(name), renderMeaning(name))),
  ])
  return [
    ['Usage: ephemeral-port-exporter [COMMAND] [--FLAG[=VALUE] ...]'],
    wrap(
      'Says which pool of ephemeral ports is running out, when, and because of which destination.',
      columns,
    ),
    ['Commands:', ...Object.entries(commands).flatMap((entry) => renderEntry(...entry))],
    ...sections,
    wrap(
      `Each option but --help and --version may also come from the environment (upper case, dots and dashes as ` +
        `underscores: ${envNameOf('sample.interval')}=5s; commas between several values; true, false, 1 or 0 for a ` +
        'switch) and from the file named by --config.file (YAML, "sample.interval: 5s" or nested at the dots). ' +
        'Flags win over the environment, the environment over the file, the file over the defaults.',
      columns,
    ),
    wrap('Durations are whole numbers with units: 500ms, 5s, 1m30s.', columns),
    [
      'Exit status of "status" and "doctor":',
      ...describeExitStatus().flatMap(([code, meaning]) => renderEntry(String(code), meaning, 5)),
    ],
    wrap('"serve" exits with 2 when it cannot start.', columns),
  ]
    .map((lines) => `${lines.join('\n')}\n`)
    .join('\n')
}

function renderEntry(left: string, right: string, at = indent): string[] {
  const lines = wrap(right, columns - at).map((line) => ' '.repeat(at) + line)
  const [first = '', ...rest] = lines
  const start = `  ${left}`
  return start.length < at - 1 ? [start + first.slice(start.length), ...rest] : [start, ...lines]
}

/** The flag as it is typed, with a placeholder for its value: `--sample.interval=DURATION`. */
export function renderFlag(name: OptionName): string {
  const { fallback, repeatable, short, value } = optionOf(name)
  if (value.placeholder === undefined) {
    return `${short ? `-${short}, ` : ''}--${fallback === 'false' ? '' : '[no-]'}${name}`
  }
  return `--${name}=${value.placeholder}${repeatable ? ' ...' : ''}`
}

function renderMeaning(name: OptionName): string {
  const { fallback, help, value } = optionOf(name)
  const isSwitch = value.placeholder === undefined
  const start = isSwitch ? (fallback === 'true' ? 'on' : undefined) : fallback
  const notes = [value.limits, start && `default ${start}`].filter((note) => note !== undefined)
  return notes.length === 0 ? help : `${help} (${notes.join(', ')})`
}
