import { readdirSync, readFileSync } from 'node:fs'
import { defineConfig } from 'vitest/config'
import { isDeep } from './test/support/program/depth.ts'
import { LongestFirst } from './test/support/program/longest-first.ts'
import { createSkipReporter } from './test/support/program/skip-reporter.ts'

/** The limit is for what hangs: a busy machine may take ten times as long as a quiet one. */
const HANGS_MS = 600_000
/** Vitest itself would wait for a second. */
const expectPoll = { poll: { timeout: 120_000 } }
/** Where .ci/run wants the results as JSON. */
const report = process.env.TEST_REPORT
const json: ['json', { outputFile: string }][] = report ? [['json', { outputFile: report }]] : []
const live = ['test/live/**/*.test.ts', 'test/**/*.live.test.ts']
const notUnit = ['**/node_modules/**', 'test/e2e/**', ...live]

/** Unit tests that replace a module, which is imported already where others ran before in the same process. */
const alone = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .map((path) => `test/${path}`)
  .filter((path) => path.endsWith('.test.ts') && readFileSync(path, 'utf8').includes('vi.mock('))

const unit = {
  setupFiles: ['test/support/program/property-seed.ts'],
  testTimeout: HANGS_MS,
  hookTimeout: HANGS_MS,
  expect: expectPoll,
}

export default defineConfig({
  test: {
    reporters: ['default', createSkipReporter(), ...json],
    // Live tests wait for the kernel more than they compute: two processors are busy with five files, or with four where the
    // proofs are longer.
    maxWorkers: isDeep ? 4 : 5,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...unit,
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...notUnit, ...alone],
          // Otherwise most of the time goes into starting a process for each file and importing the same again.
          isolate: false,
        },
      },
      { test: { ...unit, name: 'unit-alone', include: alone, exclude: notUnit } },
      {
        test: {
          name: 'live',
          globalSetup: 'test/support/program/scene-programs.ts',
          include: live,
          exclude: ['**/node_modules/**'],
          testTimeout: HANGS_MS,
          hookTimeout: HANGS_MS,
          expect: expectPoll,
        },
      },
      {
        test: {
          name: 'e2e',
          globalSetup: 'test/support/program/scene-programs.ts',
          include: ['test/e2e/**/*.test.ts'],
          // With three files two processors were idle for two fifths of the time, since many tests wait for real loads.
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
          testTimeout: HANGS_MS,
          hookTimeout: HANGS_MS,
          expect: expectPoll,
        },
      },
    ],
  },
})
