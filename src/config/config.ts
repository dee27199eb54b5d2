// Configuration: command line, environment and YAML file -> one frozen Config, or every problem at once. The table of
// options is config/options.ts; pure but for the `readFile` that is passed in.

import type { CollectorSettings, SamplingSettings } from '../settings.ts'
import { parseArgv } from './argv.ts'
import { parseEnv } from './env.ts'
import { parseConfigFile } from './file.ts'
import {
  type Command,
  type Given,
  type OptionName,
  optionNames,
  optionOf,
  type Settings,
  type SourceText,
} from './options.ts'
import { quote } from './problem.ts'

/** Settings of the sampling thread keep the names that settings.ts gives them: main.ts hands them on as they are. */
export interface Config extends SamplingSettings {
  readonly command: Command
  readonly showHelp: boolean
  readonly showVersion: boolean
  readonly watch: boolean
  readonly json: boolean
  readonly listenAddresses: Settings['web.listen-address']
  readonly telemetryPath: string
  readonly webConfigFile: string | undefined
  readonly exporterMetrics: boolean
  readonly sampleIntervalMs: number
  readonly cpuBudgetRatio: number
  /** `failures` gets its tracing instance in main.ts. */
  readonly collectors: CollectorSettings & { readonly failures: boolean | undefined }
  readonly log: { readonly level: Settings['log.level']; readonly format: Settings['log.format'] }
}

/** The user's mistakes, all of them; printed plainly and without a stack. */
export class ConfigError extends Error {
  readonly problems: readonly string[]
  /** The command that was asked for, since it decides the exit status; serve where that is unclear. */
  readonly command: Command

  constructor(problems: readonly string[], command: Command) {
    super(problems.join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
    this.command = command
  }
}

export interface ConfigInputs {
  /** The words of the command line without the program's own two. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly readFile: (path: string) => string | Promise<string>
}

/**
 * Flags win over the environment, it over the file, that over the defaults; what loses is checked all the same.
 * With --help or --version on the command line nothing else is looked at. Throws ConfigError.
 */
export async function readConfig({ argv, env, readFile }: ConfigInputs): Promise<Config> {
  const line = parseArgv(argv)
  const asked = line.given.filter(isQuestion)
  if (asked.length > 0) return nameSettings(settle(asked, []), line.command)

  const problems = [...line.problems]
  for (const { name, origin } of line.given) {
    const { commands } = optionOf(name)
    if (commands !== undefined && !commands.includes(line.command)) {
      problems.push(
        `Cannot use ${origin} with ${line.command}: it belongs to ${commands.join(' and ')}`,
      )
    }
  }
  const variables = parseEnv(env)
  const file = await readNamedFile([...line.given, ...variables.given], readFile)
  problems.push(...variables.problems, ...file.problems)
  const settings = settle([...line.given, ...variables.given, ...file.given], problems)
  if (problems.length > 0) throw new ConfigError(problems, line.command)
  return nameSettings(settings, line.command)
}

function isQuestion({ name, texts: [text = ''] }: Given): boolean {
  return (name === 'help' || name === 'version') && optionOf(name).value.parse(text) === true
}

async function readNamedFile(
  given: readonly Given[],
  readFile: ConfigInputs['readFile'],
): Promise<SourceText> {
  const named = given.find(({ name }) => name === 'config.file')
  const path = named?.texts[0]
  if (named === undefined || !path || optionOf(named.name).value.parse(path) === undefined) {
    return { given: [], problems: [] }
  }
  let text: string
  try {
    text = await readFile(path)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { given: [], problems: [`Cannot read ${quote(path)} of ${named.origin}: ${reason}`] }
  }
  return await parseConfigFile(text, path)
}

/** Parses all that was given, adds to `problems`, and lets the first of each name win. */
function settle(given: readonly Given[], problems: string[]): Settings {
  const settings = new Map<OptionName, unknown>()
  for (const one of given) {
    const value = parseGiven(one, problems)
    if (!settings.has(one.name)) settings.set(one.name, value)
  }
  for (const name of optionNames) {
    const { fallback, repeatable, value } = optionOf(name)
    if (settings.has(name)) continue
    const parsed = fallback === undefined ? undefined : value.parse(fallback)
    settings.set(name, repeatable && parsed !== undefined ? [parsed] : parsed)
  }
  // Each value came out of its own row's parse, which is what Settings is computed from.
  return Object.fromEntries(settings) as Settings
}

function parseGiven({ name, texts, origin }: Given, problems: string[]): unknown {
  const { repeatable, value } = optionOf(name)
  const parsed = texts.map((text) => {
    const result = text === '' ? undefined : value.parse(text)
    if (text === '') problems.push(`Missing value for ${origin}: expected ${value.allowed}`)
    else if (result === undefined) {
      problems.push(`Cannot use ${quote(text)} for ${origin}: expected ${value.allowed}`)
    }
    return result
  })
  const twice = texts.find((text, i) => texts.indexOf(text) !== i)
  if (twice) problems.push(`Cannot use ${quote(twice)} for ${origin} twice`)
  return repeatable ? parsed : parsed[0]
}

function nameSettings(settings: Settings, command: Command): Config {
  return freeze({
    command,
    showHelp: settings.help,
    showVersion: settings.version,
    watch: settings.watch,
    json: settings.json,
    listenAddresses: settings['web.listen-address'],
    telemetryPath: settings['web.telemetry-path'],
    webConfigFile: settings['web.config.file'],
    exporterMetrics: !settings['web.disable-exporter-metrics'],
    source: settings.source,
    procfs: settings['path.procfs'],
    cgroup: settings['path.cgroup'],
    tracefs: settings['path.tracefs'],
    everyNamespace: settings.netns === 'all',
    mostNamespaces: settings['netns.max'],
    sampleIntervalMs: settings['sample.interval'],
    cpuBudgetRatio: settings['sample.cpu-budget'],
    peakWindowSeconds: settings['sample.peak-window'] / 1000,
    forecastHorizonSeconds: settings['forecast.horizon'] / 1000,
    natRanges: settings['nat.port-range'] ?? [],
    top: settings.top,
    detailMinUtilization: settings['detail.min-utilization'],
    collectors: {
      destinations: settings['collector.destinations'],
      owners: settings['collector.owners'],
      listeners: settings['collector.listeners'],
      failures: settings['collector.failures'],
      buckets: settings['collector.buckets'],
      probe: settings['collector.probe'],
      nat: settings['collector.nat'],
      kubernetes: settings['collector.kubernetes'],
    },
    log: { level: settings['log.level'], format: settings['log.format'] },
  })
}

function freeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object' && inner !== null) freeze(inner)
  }
  return Object.freeze(value)
}
