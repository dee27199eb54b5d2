// The generated part of docs/configuration.md: the table of options -> Markdown, a table for each group.

import { renderFlag } from '../../src/cli/help.ts'
import { envNameOf, type OptionName, optionNames, optionOf } from '../../src/config/options.ts'

export function renderOptions(): string {
  const groups = [...new Set(optionNames.map((name) => optionOf(name).group))]
  const sections = groups.map((group) => {
    const names = optionNames.filter((name) => optionOf(name).group === group)
    const rows = ['| flag | environment | default | meaning |', '| --- | --- | --- | --- |']
    return [`## ${group}`, '', ...rows, ...names.map(renderRow), ''].join('\n')
  })
  return sections.join('\n')
}

function renderRow(name: OptionName): string {
  const { fallback, flagOnly, help, value } = optionOf(name)
  const start = value.placeholder === undefined ? (fallback === 'false' ? 'off' : 'on') : fallback
  const cells = [
    `\`${renderFlag(name)}\``,
    flagOnly ? '' : `\`${envNameOf(name)}\``,
    start === undefined || flagOnly ? '' : `\`${start}\``,
    (value.limits === undefined ? help : `${help} (${value.limits})`).replace(/[*_]/g, '\\$&'),
  ]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}
