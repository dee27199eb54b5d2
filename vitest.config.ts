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
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'live',
          include: live,
          exclude: ['**/node_modules/**'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // Real sockets and a real program: what one file does must not disturb what another measures.
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
