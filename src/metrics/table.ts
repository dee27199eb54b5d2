// The metric table of README: families -> Markdown.

import { families } from './families.ts'

/** One line a family, under the header `name | type | labels | help`. */
export function renderMetricTable(): string {
  const rows = families.map(({ name, type, labels, help }) => {
    const cells = [`\`${name}\``, type, labels.map((label) => `\`${label}\``).join(', '), help]
    return `| ${cells.map(escapeCell).join(' | ')} |`
  })
  return ['| name | type | labels | help |', '| --- | --- | --- | --- |', ...rows, ''].join('\n')
}

// Markdown would end the cell at a bar and may read * and < as markup.
function escapeCell(text: string): string {
  return text.replace(/[|*<]/g, (character) => `\\${character}`)
}
