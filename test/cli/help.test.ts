import { describe, expect, test } from 'vitest'
import { renderHelp } from '../../src/cli/help.ts'
import { envNameOf, optionNames, optionOf } from '../../src/config/options.ts'

describe('renderHelp()', () => {
  const help = renderHelp()

  test('names every option with its default', () => {
    for (const name of optionNames) {
      const { fallback, value } = optionOf(name)
      const start = help.search(
        new RegExp(`^  (-h, )?--(\\[no-\\])?${name.replace('.', '\\.')}\\b`, 'm'),
      )
      expect(start, name).toBeGreaterThan(0)
      const entry = help.slice(start).split(/\n(?! {10})/)[0] ?? ''
      if (value.placeholder !== undefined && fallback !== undefined) {
        expect(entry.replace(/\s+/g, ' ')).toMatch(new RegExp(`[( ]default ${fallback}\\)`))
      }
    }
  })

  test('says the limits that a value has, and no others', () => {
    const limited = optionNames.filter((name) => optionOf(name).value.limits !== undefined)
    const numbers = ['N', 'RATIO', 'DURATION']
    expect(limited).toEqual(
      optionNames.filter((name) => numbers.includes(optionOf(name).value.placeholder ?? '')),
    )
    expect(limited.length).toBeGreaterThan(5)
    const flat = help.replace(/\s+/g, ' ')
    for (const name of limited) {
      const { fallback, value } = optionOf(name)
      expect(flat).toContain(`(${value.limits}, default ${fallback})`)
    }
    for (const name of optionNames) {
      expect(optionOf(name).help, name).not.toMatch(/\d\w* to \d|up to \d/)
    }
  })

  test('fits 96 columns and has no trailing blanks', () => {
    for (const line of help.split('\n')) {
      expect(line.length).toBeLessThanOrEqual(96)
      expect(line).toBe(line.trimEnd())
    }
  })

  test('aligns the meanings', () => {
    expect(help).toContain(`
General:
  --config.file=FILE              YAML file with more of these options
  --log.level=debug|info|warn|error
                                  Least severity that is logged (default info)
  --log.format=logfmt|json        Form of the log lines on standard error (default logfmt)
  --version                       Print the version and exit
  -h, --help                      Print this text and exit
`)
  })

  test('explains the exit status by the thresholds in force', () => {
    expect(help).toContain(
      'Exit status of "status" and "doctor":\n  0  healthy\n  1  warning: any pool but tcp_bind at 80 %',
    )
  })
})

describe('options', () => {
  test('have defaults that their own rules allow', () => {
    for (const name of optionNames) {
      const { fallback, value } = optionOf(name)
      if (fallback !== undefined) expect(value.parse(fallback), envNameOf(name)).toBeDefined()
    }
  })

  test('have no name but netns that is the start of a group', () => {
    const groups = optionNames.filter((name) =>
      optionNames.some((other) => other.startsWith(`${name}.`)),
    )
    expect(groups).toStrictEqual(['netns'])
  })
})
