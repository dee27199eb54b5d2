// What unit tests import as `vitest` in a mutation run: describe() and test() only note what is to be run, again and again.

import { chai, JestAsymmetricMatchers, JestChaiExpect, JestExtend, setState } from '@vitest/expect'

type Body = (...args: unknown[]) => unknown

interface Suite {
  readonly name: string
  readonly parent: Suite | undefined
  readonly hooks: Readonly<Record<'beforeAll' | 'beforeEach' | 'afterEach' | 'afterAll', Body[]>>
}

/** One test, with the suites it is in. */
export interface NotedTest {
  readonly id: string
  readonly suite: Suite
  readonly body: () => unknown
}

chai.use(JestExtend)
chai.use(JestChaiExpect)
chai.use(JestAsymmetricMatchers)
/** As vitest makes it, without snapshots and polling. */
export const expect = Object.assign(
  (value: unknown, message?: string) => chai.expect(value, message),
  chai.expect,
  {
    unreachable: (message = '') => chai.assert.fail(`expected not to be reached ${message}`),
  },
)
setState({ assertionCalls: 0, isExpectingAssertions: false }, expect as never)

const noted: NotedTest[] = []
let current = createSuite('', undefined)

/** Takes the tests that were noted since the last call, which are those of one file. */
export function takeTests(file: string): readonly NotedTest[] {
  const seen = new Map<string, number>()
  const tests = noted.splice(0).map((test) => {
    const name = `${file} ${test.id}`
    const times = seen.get(name) ?? 0
    seen.set(name, times + 1)
    return { ...test, id: times === 0 ? name : `${name} (${times + 1})` }
  })
  current = createSuite('', undefined)
  return tests
}

/** Suites of which a test has run in this process. */
const begun = new Set<Suite>()

/** Runs the test with the hooks of its suites, and throws what they throw. What is for all tests of a suite is done once. */
export async function runTest({ suite, body }: NotedTest): Promise<void> {
  const suites: Suite[] = []
  for (let at: Suite | undefined = suite; at !== undefined; at = at.parent) suites.unshift(at)
  for (const one of suites) {
    if (begun.has(one)) continue
    begun.add(one)
    await runHooks([one], 'beforeAll')
  }
  await runHooks(suites, 'beforeEach')
  try {
    await body()
  } finally {
    await runHooks(suites.reverse(), 'afterEach')
  }
}

/** To be called when no test will run any more. */
export async function endSuites(): Promise<void> {
  await runHooks([...begun].reverse(), 'afterAll')
  begun.clear()
}

async function runHooks(suites: readonly Suite[], hook: keyof Suite['hooks']): Promise<void> {
  for (const { hooks } of suites) for (const call of hooks[hook]) await call()
}

function createSuite(name: string, parent: Suite | undefined): Suite {
  return { name, parent, hooks: { beforeAll: [], beforeEach: [], afterEach: [], afterAll: [] } }
}

function noteSuite(name: string, body: Body, ...args: unknown[]): void {
  const outer = current
  current = createSuite(`${outer.name}${name} `, outer)
  body(...args)
  current = outer
}

function noteTest(name: string, ...[first, second]: [unknown, unknown?]): void {
  const body = (typeof first === 'function' ? first : second) as Body
  noted.push({ id: `${current.name}${name}`, suite: current, body: () => body({}) })
}

/** The cases of each() and for(), of which only the first spreads arrays. */
function eachOf(note: (name: string, body: Body) => void, isSpread: boolean) {
  return (cases: readonly unknown[]) => (name: string, first: unknown, second?: unknown) => {
    const body = (typeof first === 'function' ? first : second) as Body
    cases.forEach((one, at) => {
      const args = isSpread && Array.isArray(one) ? one : [one]
      note(`${name} [${at}]`, () => body(...args))
    })
  }
}

function skipped(): void {}

export const describe = Object.assign(noteSuite, {
  each: eachOf(noteSuite, true),
  for: eachOf(noteSuite, false),
  runIf: (isRun: boolean) => (isRun ? noteSuite : skipped),
  skipIf: (isSkipped: boolean) => (isSkipped ? skipped : noteSuite),
})
export const test = Object.assign(noteTest, {
  each: eachOf(noteTest, true),
  for: eachOf(noteTest, false),
  runIf: (isRun: boolean) => (isRun ? noteTest : skipped),
  skipIf: (isSkipped: boolean) => (isSkipped ? skipped : noteTest),
})
export const beforeAll = (call: Body) => void current.hooks.beforeAll.push(call)
export const beforeEach = (call: Body) => void current.hooks.beforeEach.push(call)
export const afterEach = (call: Body) => void current.hooks.afterEach.push(call)
export const afterAll = (call: Body) => void current.hooks.afterAll.push(call)
