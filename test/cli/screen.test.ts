import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import { openScreen } from '../../src/cli/screen.ts'
import { describeTerminal } from '../../src/cli/terminal.ts'
import { plainText } from '../../src/cli/text.ts'

function open(rows = 5, columns = 40) {
  const written: string[] = []
  const size = { rows, columns, colours: false }
  const screen = openScreen(
    (text) => written.push(text),
    () => size,
  )
  /** The lines of the last drawing, without control sequences. */
  const lines = () =>
    (written.at(-1) ?? '').split('\r\n').map((line) => stripVTControlCharacters(line))
  return { screen, written, lines, size }
}

const numbers = (count: number) =>
  `${Array.from({ length: count }, (_, i) => `line ${i + 1}`).join('\n')}\n`

describe('openScreen()', () => {
  test('takes the alternate buffer and gives the terminal back', () => {
    const { screen, written } = open()
    screen.show(numbers(2))
    screen.leave()
    expect(written[0]).toBe('\u001b[?1049h\u001b[?25l')
    expect(written.at(-1)).toBe('\u001b[0m\u001b[?25h\u001b[?1049l')
    expect(written.join('')).not.toContain('\u001b[3J')
  })

  test('draws exactly one screen, however long the text is', () => {
    const { screen, lines } = open()
    screen.show(numbers(60))
    expect(lines()).toEqual([
      'line 1',
      'line 2',
      'line 3',
      'line 4',
      'lines 1-4 of 60; q quits, the arrows and',
    ])
    screen.show(numbers(2))
    expect(lines()).toHaveLength(5)
  })

  test.each([
    ['\u001b[B', 'line 2'],
    ['\u001b[B\u001b[B\u001b[A', 'line 2'],
    [' ', 'line 4'],
    ['\u001b[6~\u001b[5~', 'line 1'],
    ['\u001b[F', 'line 57'],
    ['\u001b[F\u001b[H', 'line 1'],
    ['\u001b[A', 'line 1'],
  ])('scrolls by %j', (keys, first) => {
    const { screen, lines } = open()
    screen.show(numbers(60))
    expect(screen.type(keys)).toBe(false)
    expect(lines()[0]).toBe(first)
  })

  test('stays where it was scrolled to when the next sample comes, and within a shorter one', () => {
    const { screen, lines } = open()
    screen.show(numbers(60))
    screen.type('\u001b[F')
    screen.show(numbers(60))
    expect(lines()[0]).toBe('line 57')
    screen.show(numbers(10))
    expect(lines()[0]).toBe('line 7')
  })

  test('ends on q and on Ctrl-C', () => {
    const { screen } = open()
    expect([screen.type('q'), screen.type('\u0003'), screen.type('x')]).toEqual([true, true, false])
  })

  test('folds a line that is too long, so that a command is seen to its end', () => {
    const { screen, lines } = open(5, 10)
    screen.show(`${'x'.repeat(25)}\n`)
    expect(lines().slice(0, 3)).toEqual(['x'.repeat(10), 'x'.repeat(10), 'x'.repeat(5)])
  })

  test('draws again for another size', () => {
    const { screen, lines, size } = open()
    screen.show(numbers(60))
    size.rows = 9
    screen.redraw()
    expect(lines()).toHaveLength(9)
  })
})

describe('describeTerminal()', () => {
  const stream = (isTTY: boolean) =>
    ({ isTTY, columns: 90, rows: 24 }) as Parameters<typeof describeTerminal>[0]

  test('gives files and pipes the full text', () => {
    expect(describeTerminal(stream(false), {})).toEqual(plainText)
  })

  test.each([
    [{}, { columns: 90, rows: 24, colours: true }],
    [{ NO_COLOR: '1' }, { columns: 90, rows: 24, colours: false }],
    [{ NO_COLOR: '' }, { columns: 90, rows: 24, colours: true }],
    [{ TERM: 'dumb' }, { columns: 90, rows: undefined, colours: false }],
  ])('knows the terminal of %j', (env, want) => {
    expect(describeTerminal(stream(true), env)).toEqual(want)
  })
})
