// The last line of a test run: what was skipped and why. With CI=true a skip is a failure.

import type { Reporter, TestModule } from 'vitest/node'

export function createSkipReporter(): Reporter {
  return {
    onTestRunEnd(modules: readonly TestModule[]) {
      const reasons = new Map<string, number>()
      for (const module of modules) {
        for (const test of module.children.allTests('skipped')) {
          const result = test.result()
          const reason = (result.state === 'skipped' && result.note) || 'no reason given'
          reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
        }
      }
      if (reasons.size === 0) {
        console.log('Nothing was skipped.')
        return
      }
      const list = [...reasons].map(([reason, count]) => `${count} (${reason})`).join(', ')
      console.log(`Skipped: ${list}.`)
      if (process.env.CI === 'true') {
        console.log('With CI=true a skipped test is a failure.')
        process.exitCode = 1
      }
    },
  }
}
