// The weights of the risk. Written by `npm run bench:forecast:learn`: do not edit.
// Each row holds its constant, then the weight of each input:
// * level of seconds
// * level of a minute
// * level of ten minutes
// * trend of a minute
// * trend of three minutes
// * trend of ten minutes
// * trend of the hour
// * bent trend of a minute
// * bent trend of three minutes
// * peaks
// * share in use
// * part of the climb that is done
// * trust in peaks
// * logarithm of the horizon
// * demand beyond ten minutes
// * demand beyond use
// * doubt of three minutes
// * doubt of ten minutes

import type { Weights } from './risk.ts'

export const WEIGHTS: Weights = {
  hidden: [
    [
      -0.114, 0.176, 0, 0.092, 0, 0, 0, 0, 0, 0, 0.75, 0, 0, 0.613, 0.292, -0.569, -0.094, -0.047,
      0.103,
    ],
    [
      0.256, 0.013, 0.001, 0.003, 0.005, 0.001, 0.162, 0, 0.011, 0.191, 0.472, 0, 0, 1.082, 0.267,
      0.438, 0.213, 0.274, 0.719,
    ],
    [
      0.272, 0.001, 0, 0.001, 0.041, 0.001, 0.002, 0.001, 0.052, 0.087, 0.991, 0.001, 0, 0.59,
      0.561, -0.024, 0.069, -0.067, -0.052,
    ],
    [
      -0.278, 0.196, 0, 0.002, 0.23, 0, 0.01, 0.154, 0.24, 0.056, 0.124, 0.53, 0.149, -0.941,
      -0.273, 0.235, -0.282, -0.262, -0.001,
    ],
    [
      -0.128, 0.273, 0, 0.002, 0.045, 0.001, 0.101, 0.1, 0.109, 0.074, 0.728, 0.476, 0.001, -0.666,
      -0.066, 0.12, -0.185, 0.231, -0.166,
    ],
  ],
  output: [-0.489, 1.2, 1.3, 1.278, 1.208, 1.01],
}
