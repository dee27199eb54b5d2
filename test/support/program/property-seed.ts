// Properties are tried with random values. With TEST_SEED they begin at the same ones each time, as .ci/run wants it for one
// commit; without, each run begins anew, and a failure names its seed. TEST_RUNS says how many are tried of each property that
// does not say so itself, instead of 100.

import fc from 'fast-check'

const { TEST_SEED: seed, TEST_RUNS: runs } = process.env
if (seed !== undefined) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(seed) })
if (runs !== undefined) fc.configureGlobal({ ...fc.readConfigureGlobal(), numRuns: Number(runs) })
