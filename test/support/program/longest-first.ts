// The order of test files: those that take minutes begin first, so that none of them is alone at the end.

import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * Those that take longest in CI or in `npm test`, the longest first. Those that make a hundred namespaces stand beside tests
 * whose programs look at one: every program that looks at the whole node would read all of them.
 */
const LONGEST = [
  'test/e2e/forecast-loads.test.ts',
  'test/e2e/forecast.test.ts',
  'test/e2e/rules-doubt.test.ts',
  'test/e2e/rules.test.ts',
  'test/live/full-pool.test.ts',
  'test/live/truth.test.ts',
  'test/live/silent-scenes.test.ts',
  'test/live/leaks.test.ts',
  'test/live/namespaces.test.ts',
  'test/live/failures-lives.test.ts',
  'test/live/failures.test.ts',
  'test/live/nat-kinds.test.ts',
  'test/live/kubernetes.test.ts',
  'test/live/rights.test.ts',
  'test/live/node-names.test.ts',
  'test/live/nat-changes.test.ts',
  'test/live/probe.test.ts',
  'test/live/diagnosis.test.ts',
  'test/live/services.test.ts',
  'test/live/nat-page.test.ts',
  'test/live/node-owners.test.ts',
  'test/live/foreign-truth.test.ts',
  'test/live/service.test.ts',
  'test/live/nat-search.test.ts',
  'test/live/web-config.test.ts',
  'test/live/hidden-bind.test.ts',
  'test/live/recycling.test.ts',
  'test/live/nat-counters.test.ts',
  'test/live/entrances.test.ts',
  'test/live/buckets.test.ts',
  'test/live/timestamps.test.ts',
  'test/live/nat-races.test.ts',
  'test/live/watch.test.ts',
  'test/live/faults.test.ts',
  'test/live/nat.test.ts',
]

export class LongestFirst extends BaseSequencer {
  /** Projects stay one after another, live tests before unit tests: each of a unit's processes serves many files in a row. */
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rankOf = ({ moduleId }: TestSpecification) => {
      const at = LONGEST.findIndex((path) => moduleId.endsWith(`/${path}`))
      return at < 0 ? LONGEST.length : at
    }
    const sorted = await super.sort(files)
    return sorted.sort((left, right) =>
      left.project.name === right.project.name ? rankOf(left) - rankOf(right) : 0,
    )
  }
}
