// Plain text for terminals: numbers, tables and paragraphs. Pure; `-` says "not known".

/** Every rendering fits this many columns. */
export const terminalColumns = 100

/** Near both ends the rounded text never claims the end itself: 100.0% is full, 0.0% is empty. */
export function renderPercent(ratio: number | undefined): string {
  if (ratio === undefined) return '-'
  return `${renderBetween(ratio * 100, { top: 100, digits: 1 })}%`
}

/** A probability with two digits; 1.00 and 0.00 are said of certainty only. */
export function renderRisk(ratio: number | undefined): string {
  return ratio === undefined ? '-' : renderBetween(ratio, { top: 1, digits: 2 })
}

function renderBetween(value: number, { top, digits }: { top: number; digits: number }): string {
  const step = 10 ** -digits
  const inner = Math.min(Math.max(value, step), top - step)
  return (value <= 0 || value >= top ? value : inner).toFixed(digits)
}

const units = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
] as const

/** The two largest units: 1d2h, 3m20s, 45s. */
export function renderDuration(seconds: number | undefined): string {
  if (seconds === undefined) return '-'
  let rest = Math.round(seconds)
  const parts: string[] = []
  for (const [name, size] of units) {
    const count = Math.floor(rest / size)
    if (count > 0) parts.push(`${count}${name}`)
    rest -= count * size
  }
  return parts.slice(0, 2).join('') || '0s'
}

export interface Column {
  readonly title: string
  readonly align?: 'right'
  /** Gives up width first when a row does not fit; the middle of its cells is left out then. */
  readonly shrinks?: true
}

/** Aligned lines with a title row. Columns that shrink keep at least eight characters. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width = terminalColumns,
): string[] {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(renderVisible))]
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)))
  for (;;) {
    const surplus = widths.reduce((sum, size) => sum + size + 2, -2) - width
    const widest = columns.reduce(
      (best, { shrinks }, i) => (shrinks && (widths[i] ?? 0) > (widths[best] ?? 8) ? i : best),
      -1,
    )
    if (surplus <= 0 || widest === -1) break
    widths[widest] = (widths[widest] ?? 0) - 1
  }
  return cells.map((row) =>
    columns
      .map(({ align }, i) => {
        const cell = shorten(row[i] ?? '', widths[i] ?? 0)
        return align === 'right' ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)
      })
      .join('  ')
      .trimEnd(),
  )
}

/** Leaves out the middle, since both ends of addresses and names tell most. */
export function shorten(text: string, width: number): string {
  if (text.length <= width) return text
  const tail = Math.floor((width - 1) / 2)
  return `${text.slice(0, width - 1 - tail)}…${text.slice(text.length - tail)}`
}

/** Names come from other programs: no character of theirs may act on the terminal. */
export function renderVisible(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?')
}

/** Lines of whole words; a word longer than a line is shortened. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width) {
      lines[lines.length - 1] = `${last} ${word}`
    } else lines.push(shorten(word, width))
  }
  return lines
}
