// One screen for `--watch`: texts, keys and the size of the terminal -> what is written to it. The scrollback stays as
// it was: everything happens in the terminal's alternate buffer (xterm's control sequences, ?1049).

import type { Terminal } from './text.ts'

const ENTER = '\u001b[?1049h\u001b[?25l'
const LEAVE = '\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'
const CLEAR_LINE = '\u001b[K'
const CLEAR_BELOW = '\u001b[J'
const RESET = '\u001b[0m'
const HELP = 'q quits, the arrows and space scroll'

export interface Screen {
  /** Shows another text from where the last one was scrolled to. */
  show(text: string): void
  /** Draws again, for another size. */
  redraw(): void
  /** Takes what was typed; true when it asks to end. */
  type(keys: string): boolean
  /** Gives the terminal back as it was. */
  leave(): void
}

const ESCAPE = '\u001b'
/** One sequence of a key that is no character, or one character. */
const KEY = new RegExp(`${ESCAPE}\\[[\\d;]*[A-Z~]|[\\s\\S]`, 'g')
const CTRL_C = '\u0003'
/** How far each key scrolls: lines, or pages. */
const lines: Readonly<Record<string, number>> = { '\u001b[A': -1, '\u001b[B': 1, k: -1, j: 1 }
const pages: Readonly<Record<string, number>> = { '\u001b[5~': -1, '\u001b[6~': 1, ' ': 1 }
const ends: Readonly<Record<string, number>> = {
  '\u001b[H': 0,
  '\u001b[F': Number.MAX_SAFE_INTEGER,
}

export function openScreen(write: (text: string) => void, size: () => Terminal): Screen {
  let text = ''
  let top = 0
  write(ENTER)

  function draw(): void {
    const { columns = 80, rows = 24 } = size()
    const height = Math.max(1, rows - 1)
    const all = text
      .replace(/\n$/, '')
      .split('\n')
      .flatMap((line) => fold(line, columns))
    top = Math.max(0, Math.min(top, all.length - height))
    const shown = all.slice(top, top + height)
    const place = `lines ${top + 1}-${top + shown.length} of ${all.length}; ${HELP}`.slice(
      0,
      columns,
    )
    write(
      HOME +
        [...shown, ...Array(height - shown.length).fill(''), place]
          .map((line) => line + CLEAR_LINE)
          .join('\r\n') +
        CLEAR_BELOW,
    )
  }

  function scroll(key: string): boolean {
    const page = Math.max(1, (size().rows ?? 24) - 2)
    const by = lines[key] ?? (pages[key] ?? 0) * page
    const end = ends[key]
    if (by === 0 && end === undefined) return false
    top = end ?? Math.max(0, top + by)
    return true
  }

  return {
    show(next) {
      text = next
      draw()
    },
    redraw: draw,
    type(keys) {
      for (const [key] of keys.matchAll(KEY)) {
        if (key === 'q' || key === CTRL_C) return true
        if (scroll(key)) draw()
      }
      return false
    },
    leave: () => write(RESET + LEAVE),
  }
}

/** A line as often as it is wide: a command must be seen to its end. Only short lines have colours. */
function fold(line: string, columns: number): string[] {
  if (line.includes(ESCAPE) || line.length <= columns) return [line]
  const parts: string[] = []
  for (let at = 0; at < line.length; at += columns) parts.push(line.slice(at, at + columns))
  return parts
}
