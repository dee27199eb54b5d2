// Command line -> command and options as given, unparsed. Pure; node:util's parseArgs does the splitting.

import { parseArgs } from 'node:util'
import {
  type Command,
  commands,
  type Given,
  isCommand,
  isOptionName,
  type OptionName,
  optionNames,
  optionOf,
  type SourceText,
} from './options.ts'
import { quote, suggest } from './problem.ts'

export interface CommandLine extends SourceText {
  readonly command: Command
}

interface FlagToken {
  readonly index: number
  readonly name: string
  readonly rawName: string
  readonly value?: string | undefined
}

/** `argv` without the program's own two words. */
export function parseArgv(argv: readonly string[]): CommandLine {
  const { tokens } = parseArgs({
    args: markMissingValues(argv),
    options: flagTypes(),
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const given = new Map<OptionName, Given>()
  const problems: string[] = []
  const words: string[] = []
  let unknownAt = -2
  for (const token of tokens) {
    if (token.kind === 'positional') {
      // What follows an unknown flag is more likely its value than a command.
      if (token.index !== unknownAt + 1 || isCommand(token.value)) words.push(token.value)
    } else if (token.kind === 'option') {
      const flag = readFlag(token)
      if (flag !== undefined) addFlag(flag, given, problems)
      else if (token.index !== unknownAt) {
        unknownAt = token.index
        problems.push(describeUnknown(argv[token.index] ?? token.rawName))
      }
    }
  }
  const [word = 'serve', ...more] = words
  if (!isCommand(word)) problems.push(`Unknown command ${quote(word)}${suggestCommand(word)}`)
  for (const extra of more) problems.push(`Unexpected word ${quote(extra)} after ${quote(word)}`)
  return { command: isCommand(word) ? word : 'serve', given: [...given.values()], problems }
}

/** Whether the line says how to sample, so that nobody else's sample will do. */
export function asksToSample(argv: readonly string[]): boolean {
  return parseArgv(argv).given.some(({ name }) =>
    ['Sampling', 'Collectors'].includes(optionOf(name).group),
  )
}

interface Flag extends Given {
  readonly problem: string | undefined
}

function readFlag({ name, rawName, value }: FlagToken): Flag | undefined {
  const positive = name.startsWith('no-') ? name.slice(3) : name
  if (isSwitch(positive) && positive !== name) {
    const problem = value === undefined ? undefined : `Cannot use a value with ${rawName}`
    return { name: positive, texts: ['false'], origin: rawName, problem }
  }
  if (!isOptionName(name)) return undefined
  const text = value ?? (isSwitch(name) ? 'true' : '')
  return { name, texts: [text], origin: rawName, problem: undefined }
}

function addFlag(flag: Flag, given: Map<OptionName, Given>, problems: string[]): void {
  const { name, texts, origin, problem } = flag
  const before = given.get(name)
  if (problem !== undefined) problems.push(problem)
  else if (before === undefined) given.set(name, { name, texts, origin })
  else if (optionOf(name).repeatable) {
    given.set(name, { ...before, texts: [...before.texts, ...texts] })
  } else problems.push(`Cannot use --${name} more than once`)
}

function describeUnknown(argument: string): string {
  const flag = argument.replace(/=.*$/s, '')
  const negative = flag.startsWith('--no-') ? 'no-' : ''
  return `Unknown flag ${quote(flag)}${suggest(
    flag.replace(/^--?(no-)?/, ''),
    negative === '' ? optionNames : optionNames.filter(isSwitch),
    { render: (name) => `--${negative}${name}` },
  )}`
}

function suggestCommand(word: string): string {
  const names = Object.keys(commands)
  return suggest(word, names, { otherwise: `expected ${names.join(', ')}` })
}

function isSwitch(name: string): name is OptionName {
  return isOptionName(name) && optionOf(name).value.placeholder === undefined
}

function flagTypes() {
  const types: Record<string, { type: 'string' | 'boolean'; short?: string }> = {}
  for (const name of optionNames) {
    const { short } = optionOf(name)
    types[name] = { type: isSwitch(name) ? 'boolean' : 'string', ...(short && { short }) }
    if (isSwitch(name)) types[`no-${name}`] = { type: 'boolean' }
  }
  return types
}

// parseArgs would take `--json` for the value in `--top --json`; `--top= --json` keeps the two apart.
function markMissingValues(argv: readonly string[]): string[] {
  const end = argv.indexOf('--')
  return argv.map((argument, i) => {
    const name = argument.slice(2)
    const takesValue = argument.startsWith('--') && isOptionName(name) && !isSwitch(name)
    const missing = takesValue && (end === -1 || i < end) && /^-[a-z-]/i.test(argv[i + 1] ?? '')
    return missing ? `${argument}=` : argument
  })
}
