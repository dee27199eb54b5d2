// The real terminal: streams and environment -> what it can show, and the screen that `--watch` takes of it.

import type { EventEmitter } from 'node:events'
import type { ReadStream, WriteStream } from 'node:tty'
import { openScreen, type Screen } from './screen.ts'
import { plainText, type Terminal } from './text.ts'

/**
 * https://no-color.org; a dumb terminal knows no control sequences, so that it is written to like a file, but as wide.
 */
export function describeTerminal(
  { isTTY, columns, rows }: WriteStream,
  env: Readonly<Record<string, string | undefined>>,
): Terminal {
  if (!isTTY) return plainText
  const dumb = env.TERM === 'dumb'
  return { columns, rows: dumb ? undefined : rows, colours: !dumb && !env.NO_COLOR }
}

/**
 * Takes the terminal for one screen, and gives it back however the program ends. `events` are those of the process;
 * `quit` must end it.
 */
export function takeScreen(
  { stdin, stdout }: { readonly stdin: ReadStream; readonly stdout: WriteStream },
  size: () => Terminal,
  { events, quit }: { readonly events: EventEmitter; readonly quit: () => void },
): Screen {
  const screen = openScreen((text) => stdout.write(text), size)
  events.on('exit', () => screen.leave())
  events.on('SIGWINCH', () => screen.redraw())
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) events.on(signal, quit)
  if (stdin.isTTY) {
    stdin.setRawMode(true)
    events.on('exit', () => stdin.setRawMode(false))
    stdin.setEncoding('utf8').on('data', (keys) => screen.type(String(keys)) && quit())
  }
  return screen
}
