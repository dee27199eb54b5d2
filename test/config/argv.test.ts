import { describe, expect, test } from 'vitest'
import { parseArgv } from '../../src/config/argv.ts'

function textsOf(argv: string[]) {
  return parseArgv(argv).given.map(({ name, texts }) => [name, ...texts])
}

describe('parseArgv()', () => {
  test('takes a value behind = or as the next word', () => {
    expect(textsOf(['--top=3', '--source', 'procfs'])).toStrictEqual([
      ['top', '3'],
      ['source', 'procfs'],
    ])
  })

  test('finds the command before, between and behind flags', () => {
    expect(parseArgv(['doctor', '--top=1']).command).toBe('doctor')
    expect(parseArgv(['--top', '1', 'status', '--json']).command).toBe('status')
    expect(parseArgv(['--json', 'status']).command).toBe('status')
    expect(parseArgv(['--', 'status']).command).toBe('status')
  })

  test('never takes a flag for the value of the flag before it', () => {
    expect(textsOf(['--top', '--json', '--source', '--log.level'])).toStrictEqual([
      ['top', ''],
      ['json', 'true'],
      ['source', ''],
      ['log.level', ''],
    ])
  })

  test('takes true, false, 1 and 0 for a switch behind = only', () => {
    expect(textsOf(['status', '--json=0', '--watch'])).toStrictEqual([
      ['json', '0'],
      ['watch', 'true'],
    ])
  })

  test.each([
    [['--tpo=5'], 'Unknown flag "--tpo": did you mean --top?'],
    [['--interval', '5s'], 'Unknown flag "--interval": did you mean --sample.interval?'],
    [['--log-level=info'], 'Unknown flag "--log-level": did you mean --log.level?'],
    [
      ['--no-colector.listeners'],
      'Unknown flag "--no-colector.listeners": did you mean --no-collector.listeners?',
    ],
    [['--no-top'], 'Unknown flag "--no-top": see --help for what exists'],
    [['--xyz'], 'Unknown flag "--xyz": see --help for what exists'],
    [['-abc'], 'Unknown flag "-abc": see --help for what exists'],
    [['--__proto__=1'], 'Unknown flag "--__proto__": see --help for what exists'],
    [['--no-collector.listeners=1'], 'Cannot use a value with --no-collector.listeners'],
    [['--top=1', '--top=2'], 'Cannot use --top more than once'],
    [
      ['--collector.listeners', '--no-collector.listeners'],
      'Cannot use --collector.listeners more than once',
    ],
    [['statsu'], 'Unknown command "statsu": did you mean status?'],
    [['run'], 'Unknown command "run": expected serve, status, doctor, bpf'],
    [['toString'], 'Unknown command "toString": expected serve, status, doctor, bpf'],
    [['status', 'doctor'], 'Unexpected word "doctor" after "status"'],
    [['--', '--top=5'], 'Unknown command "--top=5": expected serve, status, doctor, bpf'],
  ])('says of %j what is wrong', (argv, problem) => {
    expect(parseArgv(argv).problems).toStrictEqual([problem])
  })

  test('names the command even when its flags are wrong', () => {
    expect(parseArgv(['--xyz', 'status'])).toMatchObject({ command: 'status' })
  })
})
