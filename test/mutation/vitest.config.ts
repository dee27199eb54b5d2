import { defineConfig } from 'vitest/config'

// The unit tests of what is mutated: a change of src/kernel or src/model must fail where it belongs, not far away.
export default defineConfig({
  plugins: [
    {
      // Stryker insists on threads, in which no process can take another user's rights.
      name: 'processes',
      configureVitest: ({ project }) => {
        project.config.pool = 'forks'
      },
    },
  ],
  test: {
    include: ['**/*.test.ts'],
    exclude: ['**/*.live.test.ts', '**/forecast/**'],
    setupFiles: ['test/support/program/property-seed.ts'],
    testTimeout: 120_000,
  },
})
