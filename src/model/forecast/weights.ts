// The weights of the risk. Written by `npm run bench:forecast:learn`: do not edit.
// Each row holds its constant, then the weight of each input:
// * level of seconds
// * level of a minute
// * level of ten minutes
// * trend of a minute
// * trend of three minutes
// * trend of ten minutes
// * trend of the hour
// * peaks
// * share in use
// * trust in peaks
// * logarithm of the horizon

import type { Weights } from './risk.ts'

export const WEIGHTS: Weights = {
  hidden: [
    [0.348, 0.024, 0.001, 0.001, 0.165, 0.132, 0.161, 0, 0.706, 0.001, 1.087, 0.667],
    [0.12, 0.135, 0, 0.123, 0, 0.004, 0.056, 0.003, 1.029, 0.021, 0.741, 0.328],
    [-0.333, 0.184, 0, 0.001, 0.401, 0.02, 0.059, 0.109, 0.649, 0.773, -1.029, -0.255],
  ],
  output: [-0.57, 1.648, 1.494, 1.789],
}
