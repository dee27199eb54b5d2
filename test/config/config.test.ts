import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConfigError, readConfig } from '../../src/config/config.ts'
import { envNameOf, optionNames, optionOf } from '../../src/config/options.ts'
import { readers } from '../../src/observation.ts'
import { allCollectors, defaults, examples, type FreeOption, freeOptions } from './examples.ts'

function read({ argv = [] as string[], env = {}, file = undefined as string | undefined } = {}) {
  const readFile = () => {
    if (file === undefined) throw new Error('ENOENT: no such file or directory')
    return file
  }
  return readConfig({ argv, env, readFile })
}

async function readProblems(inputs: Parameters<typeof read>[0]): Promise<readonly string[]> {
  try {
    await read(inputs)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

function nest(name: string, value: unknown): unknown {
  return name.split('.').reduceRight((inner, key) => ({ [key]: inner }), value)
}

describe('readConfig()', () => {
  test('gives the defaults when nothing is said', async () => {
    expect(await read()).toStrictEqual(defaults)
  })

  test.each(freeOptions)(
    'changes one thing when %s is given, wherever it is given',
    async (name) => {
      const [text, change] = examples[name]
      const want = { ...defaults, command: 'status', ...change }
      const file = ['status', '--config.file=x.yaml']
      expect(await read({ argv: ['status', `--${name}=${text}`] })).toStrictEqual(want)
      expect(await read({ argv: ['status'], env: { [envNameOf(name)]: text } })).toStrictEqual(want)
      expect(await read({ argv: file, file: `${name}: "${text}"` })).toStrictEqual(want)
      expect(await read({ argv: file, file: JSON.stringify(nest(name, text)) })).toStrictEqual(want)
      if (optionOf(name).value.placeholder !== undefined) {
        expect(await read({ argv: [`--${name}`, text, 'status'] })).toStrictEqual(want)
      }
    },
  )

  test('agrees between flag, variable and file whatever the values', async () => {
    const digits = fc.integer({ min: 0, max: 65_535 })
    const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,10}[a-z0-9]$/)
    const seconds = fc.integer({ min: 60, max: 300 }).map((n) => `${n}s`)
    const flag = fc.constantFrom('true', 'false', '1', '0')
    const texts: Record<FreeOption, fc.Arbitrary<string>> = {
      'web.listen-address': fc.tuple(word, digits).map(([host, port]) => `${host}:${port}`),
      'web.telemetry-path': word.map((segment) => `/${segment}`),
      'web.config.file': word.map((name) => `/${name}.yml`),
      'web.disable-exporter-metrics': flag,
      source: fc.constantFrom('auto', ...readers),
      'path.procfs': word.map((segment) => `/${segment}/proc`),
      'path.cgroup': word.map((segment) => `/${segment}/cgroup`),
      'path.tracefs': word.map((segment) => `/${segment}/tracing`),
      netns: fc.constantFrom('all', 'self'),
      'netns.max': fc.integer({ min: 1, max: 10_000 }).map(String),
      'sample.interval': seconds,
      'sample.cpu-budget': fc.integer({ min: 1, max: 100 }).map((n) => String(n / 100)),
      'sample.peak-window': seconds,
      'forecast.horizon': seconds,
      top: fc.integer({ min: 1, max: 1000 }).map(String),
      'detail.min-utilization': fc.integer({ min: 0, max: 100 }).map((n) => String(n / 100)),
      'collector.destinations': flag,
      'collector.owners': flag,
      'collector.kubernetes': flag,
      'collector.failures': flag,
      'collector.buckets': flag,
      'collector.nat': flag,
      'nat.port-range': fc
        .tuple(fc.ipV4(), digits, digits)
        .filter(([, first, last]) => first > 0 && first <= last)
        .map(([address, first, last]) => `${address}=${first}-${last}`),
      'collector.probe': flag,
      'collector.listeners': flag,
      'log.level': fc.constantFrom('debug', 'info', 'warn', 'error'),
      'log.format': fc.constantFrom('logfmt', 'json'),
      watch: flag,
      json: flag,
    }
    const choice = fc.record(texts, { requiredKeys: [] })
    await fc.assert(
      fc.asyncProperty(choice, async (given) => {
        const pairs = freeOptions.flatMap((name) => {
          const text = given[name]
          return text === undefined ? [] : [[name, text] as const]
        })
        const byFlag = await read({ argv: ['status', ...pairs.map(([n, t]) => `--${n}=${t}`)] })
        const env = Object.fromEntries(pairs.map(([n, t]) => [envNameOf(n), t]))
        const file = pairs.map(([n, t]) => `${n}: ${t}\n`).join('')
        expect(await read({ argv: ['status'], env })).toStrictEqual(byFlag)
        expect(await read({ argv: ['status', '--config.file', 'x'], file })).toStrictEqual(byFlag)
      }),
      { numRuns: 100 },
    )
  })

  test('lets flags win over the environment, it over the file, that over the defaults', async () => {
    const argv = ['--config.file=x', '--top=1']
    const env = { EPHEMERAL_PORT_EXPORTER_TOP: '2', EPHEMERAL_PORT_EXPORTER_LOG_LEVEL: 'warn' }
    const file = 'top: 3\nlog: {level: error, format: json}'
    expect(await read({ argv, env, file })).toStrictEqual({
      ...defaults,
      top: 1,
      log: { level: 'warn', format: 'json' },
    })
  })

  test('takes the file that a variable names, and the one of the flag before it', async () => {
    const env = { EPHEMERAL_PORT_EXPORTER_CONFIG_FILE: 'from-env' }
    const readFile = (path: string) => `log.level: ${path === 'from-env' ? 'warn' : 'error'}`
    const levels = async (argv: string[]) => (await readConfig({ argv, env, readFile })).log.level
    expect(await levels([])).toBe('warn')
    expect(await levels(['--config.file', 'from-flag'])).toBe('error')
  })

  test('collects a repeatable flag, splits the variable at commas, takes a list from the file', async () => {
    const texts = async (inputs: Parameters<typeof read>[0]) =>
      (await read(inputs)).listenAddresses.map(({ text }) => text)
    const argv = ['--web.listen-address=:1', '--web.listen-address', '[::1]:2']
    const env = { EPHEMERAL_PORT_EXPORTER_WEB_LISTEN_ADDRESS: ':1, [::1]:2' }
    const file = 'web:\n  listen-address:\n    - :1\n    - "[::1]:2"\n'
    expect(await texts({ argv })).toStrictEqual([':1', '[::1]:2'])
    expect(await texts({ env })).toStrictEqual([':1', '[::1]:2'])
    expect(await texts({ argv: ['--config.file=x'], file })).toStrictEqual([':1', '[::1]:2'])
  })

  test('turns a switch off by its negative form, also one that is on where it is permitted', async () => {
    const argv = ['listeners', 'buckets'].map((name) => `--no-collector.${name}`)
    const expected = { ...allCollectors, listeners: false, buckets: false }
    expect((await read({ argv })).collectors).toStrictEqual(expected)
  })

  test('takes an empty variable for one that is not set', async () => {
    expect(await read({ env: { EPHEMERAL_PORT_EXPORTER_TOP: '' } })).toStrictEqual(defaults)
  })

  test('reports all problems of all sources at once', async () => {
    const problems = await readProblems({
      argv: '--top=0 --sample.intervall=5s --log.level --config.file=bad.yaml --watch'.split(' '),
      env: { EPHEMERAL_PORT_EXPORTER_SOURCE: 'ebpf', EPHEMERAL_PORT_EXPORTER_TPO: '5' },
      file: 'top: many\nweb:\n  telemetry-paht: /m\nsample.cpu-budget: 2\n',
    })
    expect(problems).toStrictEqual([
      'Unknown flag "--sample.intervall": did you mean --sample.interval?',
      'Cannot use --watch with serve: it belongs to status',
      'Unknown variable EPHEMERAL_PORT_EXPORTER_TPO: did you mean EPHEMERAL_PORT_EXPORTER_TOP?',
      'Unknown key "web.telemetry-paht" (bad.yaml:3): did you mean web.telemetry-path?',
      'Cannot use "0" for --top: expected a whole number from 1 to 1000',
      'Missing value for --log.level: expected debug, info, warn or error',
      `Cannot use "ebpf" for EPHEMERAL_PORT_EXPORTER_SOURCE: expected auto, ${readers.join(', ').replace(/, (\w+)$/, ' or $1')}`,
      'Cannot use "many" for top (bad.yaml:1): expected a whole number from 1 to 1000',
      'Cannot use "2" for sample.cpu-budget (bad.yaml:4): expected a number above 0 and up to 1',
    ])
  })

  test('says which command was asked for when it fails', async () => {
    const failure = read({ argv: ['status', '--top=x'] })
    await expect(failure).rejects.toMatchObject({ name: 'ConfigError', command: 'status' })
  })

  test('names the file that cannot be read and who named it', async () => {
    expect(await readProblems({ argv: ['--config.file=gone.yaml'] })).toStrictEqual([
      'Cannot read "gone.yaml" of --config.file: ENOENT: no such file or directory',
    ])
  })

  test('refuses the same address twice', async () => {
    const argv = ['--web.listen-address=:1', '--web.listen-address=:1']
    expect(await readProblems({ argv })).toStrictEqual([
      'Cannot use ":1" for --web.listen-address twice',
    ])
  })

  test.each(['--help', '-h', '--version'])(
    'looks at nothing else when %s is there',
    async (flag) => {
      const env = { EPHEMERAL_PORT_EXPORTER_TPO: '5' }
      const config = await read({ argv: ['--top', flag, '--nonsense', '--config.file=gone'], env })
      expect([config.showHelp, config.showVersion]).toStrictEqual(
        flag === '--version' ? [false, true] : [true, false],
      )
    },
  )

  test('gives a value that nobody can change', async () => {
    const config = await read()
    expect(Object.isFrozen(config)).toBe(true)
    expect(Object.isFrozen(config.collectors)).toBe(true)
    expect(Object.isFrozen(config.listenAddresses[0])).toBe(true)
  })

  test('throws nothing but ConfigError whatever it is given', async () => {
    const name = fc.constantFrom<string>(...optionNames, 'nope', '__proto__', 'constructor')
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('', '--', '-', '[', '{a: *b}'),
    )
    const argument = fc.oneof(
      text,
      name.map((n) => `--${n}`),
      fc.tuple(name, text).map(([n, t]) => `--no-${n}=${t}`),
      fc.tuple(name, text).map(([n, t]) => `--${n}=${t}`),
    )
    const env = fc.dictionary(
      fc.string().map((rest) => `EPHEMERAL_PORT_EXPORTER_${rest}`),
      text,
    )
    const line = fc.tuple(name, text).map(([n, t]) => `${n}: ${t}\n`)
    const file = fc.oneof(
      text,
      fc.array(line).map((lines) => lines.join('')),
      fc.json(),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(argument), env, file, async (argv, variables, content) => {
        const problems = await readProblems({ argv: [...argv], env: variables, file: content })
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal
        for (const problem of problems) expect(problem).not.toMatch(/^$|[\u0000-\u0009\u001b]/)
      }),
      { numRuns: 500 },
    )
  })
})
