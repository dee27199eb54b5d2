// The process that runs unit tests against mutants, which its parent sends. Vitest compiles a file once, and again only when it
// is the mutated one.

import { readFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { BaseSequencer, createVitest, type TestSpecification } from 'vitest/node'
import type { ValueMutant } from './value-mutants.ts'

export type ValueVerdict = 'detected' | 'survived'

const root = join(import.meta.dirname, '../..')
/** What takes ten times as long as other tests is run against the file of its own name alone. */
const SLOW = [
  ...['accepted-flows', 'pools', 'watch', 'nat/many-rules', 'owners/properties'],
  ...['forecast/forecast-life', 'forecast/forecast-pools', 'forecast/horizon'],
].map((name) => `test/model/${name}.test.ts`)
/** What tests import as `fast-check`: more examples find few mutants that other tests do not find. */
const FEWER = '\0fewer-examples'
const FEWER_EXAMPLES = `import fc from 'fast-check'
  const numRuns = (wanted = 100) => Math.ceil(wanted / 2)
  const assert = (property, how) => fc.assert(property, { ...how, numRuns: numRuns(how?.numRuns) })
  export default { ...fc, assert }`

/** Each file's relative imports, by paths from the root. */
const imports = new Map<string, readonly string[]>()
/** How long each test file took, in milliseconds. */
const durations = new Map<string, number>()
/** Test files that have passed without a mutant. */
const sound = new Set<string>()
let mutant: ValueMutant | undefined

/** The quickest first, among those whose time is not known the test of the mutated file and golden pages. */
class QuickestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const costOf = ({ moduleId }: TestSpecification) =>
      durations.get(moduleId) ?? (isOwn(moduleId) || moduleId.includes('golden') ? 0 : 1000)
    return files.sort((one, other) => costOf(one) - costOf(other))
  }
}

const vitest = await createVitest(
  'test',
  {
    config: false,
    watch: false,
    bail: 1,
    isolate: false,
    maxWorkers: 1,
    reporters: [{}],
    sequence: { sequencer: QuickestFirst },
    include: ['test/{kernel,model}/**/*.test.ts'],
    exclude: ['test/**/*.live.test.ts'],
    setupFiles: ['test/support/program/property-seed.ts'],
    testTimeout: 60_000,
  },
  {
    plugins: [
      {
        name: 'mutant',
        enforce: 'pre',
        resolveId: (id, importer) =>
          id === 'fast-check' && importer !== FEWER ? FEWER : undefined,
        load: (id) => (id === FEWER ? FEWER_EXAMPLES : undefined),
        transform: (code, id) =>
          mutant !== undefined && id === join(root, mutant.file)
            ? code.slice(0, mutant.from) + mutant.instead + code.slice(mutant.to)
            : undefined,
      },
    ],
  },
)
/** Modules cannot be replaced in a process that has them already. */
const specifications = (await vitest.globTestSpecifications()).filter(
  ({ moduleId }) => !readFileSync(moduleId, 'utf8').includes('vi.mock('),
)

process.on('message', async (asked: ValueMutant) => {
  mutant = asked
  const path = join(root, asked.file)
  vitest.invalidateFile(path)
  const failed = await listFailed(testsOf(asked.file))
  mutant = undefined
  vitest.invalidateFile(path)
  const unproved = failed.filter(({ moduleId }) => !sound.has(moduleId))
  if ((await listFailed(unproved)).length > 0) throw new Error('Tests fail without a mutant')
  for (const { moduleId } of unproved) sound.add(moduleId)
  const verdict: ValueVerdict = failed.length > 0 ? 'detected' : 'survived'
  process.send?.(verdict)
})
process.on('disconnect', () => vitest.close())

async function listFailed(wanted: readonly TestSpecification[]): Promise<TestSpecification[]> {
  if (wanted.length === 0) return []
  const { testModules } = await vitest.runTestSpecifications([...wanted])
  for (const one of testModules) {
    const { duration } = one.diagnostic()
    // Those after the first that failed are not run.
    if (duration > 0) durations.set(one.moduleId, duration)
  }
  const failed = new Set(testModules.filter((one) => !one.ok()).map(({ moduleId }) => moduleId))
  return wanted.filter(({ moduleId }) => failed.has(moduleId))
}

/** The tests of a file's folder that import it. */
function testsOf(file: string): TestSpecification[] {
  const folder = dirname(file).replace('src', 'test')
  return specifications.filter(({ moduleId }) => {
    const path = relative(root, moduleId)
    if (isOwn(moduleId)) return true
    return dirname(path) === folder && !SLOW.includes(path) && reaches(path, file)
  })
}

function isOwn(moduleId: string): boolean {
  if (mutant === undefined) return false
  const name = basename(mutant.file, '.ts')
  const folder = join(root, dirname(mutant.file).replace('src', 'test'))
  return moduleId === join(folder, `${name}.test.ts`)
}

function reaches(test: string, file: string): boolean {
  const seen = new Set([test])
  for (const path of seen) {
    if (path === file) return true
    for (const next of importsOf(path)) seen.add(next)
  }
  return false
}

function importsOf(path: string): readonly string[] {
  const known = imports.get(path)
  if (known !== undefined) return known
  const found = [...readFileSync(join(root, path), 'utf8').matchAll(/from '(\.[^']+\.ts)'/g)]
  const paths = found.map(([, target = '']) => join(dirname(path), target))
  imports.set(path, paths)
  return paths
}
