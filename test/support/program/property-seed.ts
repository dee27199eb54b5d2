// Properties are tried with random values. With TEST_SEED they begin at the same ones each time, as .ci/run wants it for one
// commit; without, each run begins anew, and a failure names its seed.

import fc from 'fast-check'

const seed = process.env.TEST_SEED
if (seed !== undefined) fc.configureGlobal({ seed: Number(seed) })
