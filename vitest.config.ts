import { defineConfig } from 'vitest/config'
import { createSkipReporter } from './test/support/program/skip-reporter.ts'

/** Where .ci/run wants the results as JSON. */
const report = process.env.TEST_REPORT
const json: ['json', { outputFile: string }][] = report ? [['json', { outputFile: report }]] : []
const live = ['test/live/**/*.test.ts', 'test/**/*.live.test.ts']

export default defineConfig({
  test: {
    reporters: ['default', createSkipReporter(), ...json],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['**/node_modules/**', 'test/e2e/**', ...live],
          setupFiles: ['test/support/program/property-seed.ts'],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'live',
          include: live,
          exclude: ['**/node_modules/**'],
          // The limit is for what hangs: a busy machine may take ten times as long as a quiet one.
          testTimeout: 600_000,
          hookTimeout: 600_000,
          // Real sockets and a real program: what one file does must not disturb what another measures.
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
})
