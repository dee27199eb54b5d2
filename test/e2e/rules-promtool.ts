// `promtool test rules` for many rule files in one go: each with the committed tests of its alert, in a directory of its own.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { secondsOf } from '../support/prometheus/durations.ts'
import { type Alert, listRuleTests } from '../support/prometheus/rules-files.ts'

interface Check {
  readonly eval_time: string
  readonly alertname?: string
  readonly expr?: string
  readonly exp_samples?: readonly unknown[]
}
interface UnitTest {
  readonly name: string
  readonly alert_rule_test?: readonly Check[]
  readonly promql_expr_test?: readonly Check[]
}

interface TestFile {
  readonly evaluation_interval: string
  readonly tests: readonly UnitTest[]
}

export function promtool(args: readonly string[]): { status: number | null; output: string } {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { encoding: 'utf8' })
  if (error !== undefined) throw error
  return { status, output: stdout + stderr }
}

interface RuleSet {
  readonly alert: string
  readonly rules: readonly Alert[]
}

/** Tells of each set of rules whether the tests of its alert pass. Long tests judge only what passes the short ones. */
export function judgeRules(sets: readonly RuleSet[]): readonly boolean[] {
  const files = listRuleTests().map((path) => parse(readFileSync(path, 'utf8')) as TestFile)
  let passing = sets
  for (const isWanted of [(test: UnitTest) => !isLong(test), isLong]) {
    for (const file of files) {
      const passes = runTests(passing, { ...file, tests: file.tests.filter(isWanted) })
      passing = passing.filter((_, index) => passes[index])
    }
  }
  return sets.map((set) => passing.includes(set))
}

/** Whether there is more than half an hour to evaluate. */
function isLong(test: UnitTest): boolean {
  const checks = [...(test.alert_rule_test ?? []), ...(test.promql_expr_test ?? [])]
  return checks.some(({ eval_time }) => secondsOf(eval_time) > 1800)
}

function runTests(sets: readonly RuleSet[], testFile: TestFile): readonly boolean[] {
  const directory = mkdtempSync(join(tmpdir(), 'rules-'))
  try {
    const paths = sets.map(({ alert, rules }, index) => {
      const place = join(directory, String(index))
      mkdirSync(place)
      const file = { groups: [{ name: 'one', rules }] }
      writeFileSync(join(place, 'rules.yaml'), stringify(file))
      const path = join(place, 'test.yaml')
      writeFileSync(
        path,
        stringify({
          ...testFile,
          rule_files: ['rules.yaml'],
          tests: testFile.tests
            .filter((test) => namesIn(test).has(alert))
            .map((test) => only(test, alert)),
        }),
      )
      return path
    })
    const { stdout, error } = spawnSync('promtool', ['test', 'rules', ...paths], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    })
    if (error !== undefined) throw error
    return paths.map((path) => stdout.includes(`${path}\n  SUCCESS`))
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** The checks that hold when nothing but that alert is evaluated. */
function only(test: UnitTest, alert: string): UnitTest {
  const single = namesIn(test).size === 1
  const concerns = (check: Check) => {
    const names = namesIn(check)
    return names.size === 0 ? single || check.exp_samples?.length === 0 : isJust(names, alert)
  }
  return {
    ...test,
    alert_rule_test: (test.alert_rule_test ?? []).filter(concerns),
    promql_expr_test: (test.promql_expr_test ?? []).filter(concerns),
  }
}

function isJust(names: ReadonlySet<string>, alert: string): boolean {
  return names.size === 1 && names.has(alert)
}

function namesIn(value: object): ReadonlySet<string> {
  return new Set(JSON.stringify(value).match(/\bEphemeralPort\w+(?!\.md|\w)/g))
}
