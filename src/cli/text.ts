// Plain text for terminals: tables, paragraphs and colours. Pure.

import type { Severity } from '../diagnosis/severity.ts'
import { renderVisible } from '../diagnosis/words.ts'

/** Where the text goes. */
export interface Terminal {
  /** Undefined for files and pipes, where nothing is shortened. */
  readonly columns: number | undefined
  readonly rows: number | undefined
  readonly colours: boolean
}

/** A file or a pipe: the full text. */
export const plainText: Terminal = { columns: undefined, rows: undefined, colours: false }

/** Width of paragraphs where nobody says how wide the reader's screen is. */
const PARAGRAPH_COLUMNS = 100
const LEAST_COLUMNS = 20

/** How wide a paragraph may be that starts `indent` columns in. */
export function paragraphWidth({ columns = PARAGRAPH_COLUMNS }: Terminal, indent = 0): number {
  return Math.max(LEAST_COLUMNS, Math.min(columns, PARAGRAPH_COLUMNS) - indent)
}

const colours: Readonly<Record<Severity, string>> = {
  ok: '\u001b[32m',
  note: '\u001b[36m',
  warning: '\u001b[33m',
  critical: '\u001b[31m',
}

/** The text in the colour of the severity, where there are colours. */
export function paint(text: string, severity: Severity, terminal: Terminal): string {
  return terminal.colours ? `${colours[severity]}${text}\u001b[0m` : text
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
  width = Number.POSITIVE_INFINITY,
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

/** Lines of whole words; a word longer than a line has one of its own, in full. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width) {
      lines[lines.length - 1] = `${last} ${word}`
    } else lines.push(word)
  }
  return lines
}

/** A paragraph whose first line begins with `label` and whose others stand below its text. */
export function renderLabelled(label: string, text: string, terminal: Terminal): string[] {
  const lines = wrap(renderVisible(text), paragraphWidth(terminal, label.length))
  return lines.map((line, i) => (i === 0 ? label : ' '.repeat(label.length)) + line)
}
