// A test runner for StrykerJS that loads all test files once and runs the tests that reach a mutant in its own process, the
// quickest first, until one fails. To start vitest for each mutant takes a hundred times as long as the tests that find it.

import { readdirSync, readFileSync } from 'node:fs'
import { register } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { InstrumenterContext, MutantCoverage, StrykerOptions } from '@stryker-mutator/api/core'
import { commonTokens, declareClassPlugin, PluginKind, tokens } from '@stryker-mutator/api/plugin'
import {
  type DryRunResult,
  DryRunStatus,
  determineHitLimitReached,
  type MutantRunOptions,
  type MutantRunResult,
  type TestResult,
  type TestRunner,
  TestStatus,
  toMutantRunResult,
} from '@stryker-mutator/api/test-runner'
import fc from 'fast-check'
import { endSuites, type NotedTest, runTest, takeTests } from './in-process-vitest.ts'

/** Where the tests are, and which of them are left out, by parts of their paths and names. */
interface InProcessOptions {
  readonly folder: string
  readonly without: readonly string[]
}

const SEED = 20
/** Of a property, for each mutant: more of them find few mutants that other tests do not find. */
const MOST_EXAMPLES = 20

/** What tests import in place of a package. */
const FEWER_EXAMPLES = `import fc from ${JSON.stringify(import.meta.resolve('fast-check'))}
  const numRuns = (wanted = 100) => Math.min(wanted, ${MOST_EXAMPLES})
  const assert = (property, how) => fc.assert(property, { ...how, numRuns: numRuns(how?.numRuns) })
  export default { ...fc, assert }`
const INSTEAD = {
  vitest: new URL('./in-process-vitest.ts', import.meta.url).href,
  'fast-check': asUrl(FEWER_EXAMPLES),
}
const HOOK = `const instead = ${JSON.stringify(INSTEAD)}
  export const resolve = (name, context, next) =>
    name in instead ? { url: instead[name], shortCircuit: true } : next(name, context)`

class InProcessRunner implements TestRunner {
  static inject = tokens(commonTokens.options)
  readonly #options: InProcessOptions
  readonly #tests = new Map<string, NotedTest>()
  readonly #cost = new Map<string, number>()

  constructor(options: StrykerOptions) {
    this.#options = options.inProcess as InProcessOptions
  }

  capabilities() {
    return { reloadEnvironment: false }
  }

  async init(): Promise<void> {
    fc.configureGlobal({ seed: SEED })
    register(asUrl(HOOK))
    const { folder, without } = this.#options
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((name) => join(folder, name))
      .filter((path) => /(?<!\.live)\.test\.ts$/.test(path))
      // Modules cannot be replaced in a process that has them already.
      .filter((path) => !readFileSync(path, 'utf8').includes('vi.mock('))
    for (const file of files.sort()) {
      await import(pathToFileURL(file).href)
      for (const one of takeTests(file)) {
        if (!without.some((part) => one.id.includes(part))) this.#tests.set(one.id, one)
      }
    }
  }

  async dryRun(): Promise<DryRunResult> {
    const tests: TestResult[] = []
    for (const one of this.#tests.values()) {
      state().currentTestId = one.id
      tests.push(await this.#run(one))
    }
    delete state().currentTestId
    const mutantCoverage = onlyInTests(state().mutantCoverage)
    // What passes once and fails when it is run again would find every mutant.
    for (const one of this.#tests.values()) {
      const again = await this.#run(one)
      if (again.status === TestStatus.Failed) tests.push(again)
    }
    return { status: DryRunStatus.Complete, tests, ...(mutantCoverage && { mutantCoverage }) }
  }

  async mutantRun(options: MutantRunOptions): Promise<MutantRunResult> {
    const { testFilter = [...this.#tests.keys()], activeMutant } = options
    // Stryker allows for a hundred times as many hits as all tests had together, which take minutes.
    const hitLimit = options.hitLimit === undefined ? undefined : options.hitLimit / 10
    const wanted = testFilter.flatMap((id) => this.#tests.get(id) ?? [])
    const costOf = ({ id }: NotedTest) => this.#cost.get(id) ?? 0
    const tests: TestResult[] = []
    Object.assign(state(), { activeMutant: activeMutant.id, hitCount: 0, hitLimit })
    for (const one of wanted.sort((left, right) => costOf(left) - costOf(right))) {
      const result = await this.#run(one)
      tests.push(result)
      if (result.status === TestStatus.Failed) break
    }
    const { hitCount } = state()
    Object.assign(state(), { activeMutant: undefined, hitCount: undefined, hitLimit: undefined })
    const stuck = determineHitLimitReached(hitCount, hitLimit)
    return toMutantRunResult(stuck ?? { status: DryRunStatus.Complete, tests })
  }

  dispose(): Promise<void> {
    return endSuites()
  }

  async #run(one: NotedTest): Promise<TestResult> {
    const begin = performance.now()
    const cpu = process.cpuUsage()
    const result = { id: one.id, name: one.id }
    try {
      await runTest(one)
    } catch (error) {
      const failureMessage = error instanceof Error ? error.message : String(error)
      const timeSpentMs = performance.now() - begin
      return { ...result, timeSpentMs, status: TestStatus.Failed, failureMessage }
    }
    const timeSpentMs = performance.now() - begin
    this.#cost.set(one.id, process.cpuUsage(cpu).user)
    return { ...result, timeSpentMs, status: TestStatus.Success }
  }
}

function asUrl(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`
}

/** A mutant that tests reach needs no new process, though describe() may have reached it too. */
function onlyInTests(coverage: MutantCoverage | undefined): MutantCoverage | undefined {
  if (coverage === undefined) return undefined
  const reached = new Set(Object.values(coverage.perTest).flatMap((hits) => Object.keys(hits)))
  const others = Object.entries(coverage.static).filter(([mutant]) => !reached.has(mutant))
  return { static: Object.fromEntries(others), perTest: coverage.perTest }
}

/** What the mutated source reads and counts. */
function state(): InstrumenterContext {
  const holder = globalThis as { __stryker__?: InstrumenterContext }
  holder.__stryker__ ??= {}
  return holder.__stryker__
}

/** What stryker's configuration may say of it. */
export const strykerValidationSchema = { properties: { inProcess: { type: 'object' } } }

export const strykerPlugins = [
  declareClassPlugin(PluginKind.TestRunner, 'in-process', InProcessRunner),
]
