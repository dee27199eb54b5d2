// From signals to a probability: a small network whose weights were learned on simulated loads (weights.ts). By its
// form more danger never lowers the risk: the weights of dangers, and those of the hidden sums, are not negative.

import { takeReach } from './signals.ts'

export interface Weights {
  /** One row for each hidden sum: its constant, then the weight of each input. */
  readonly hidden: readonly (readonly number[])[]
  /** The constant, then the weight of each hidden sum. */
  readonly output: readonly number[]
}

/** Probability that an allocation fails by the moment that the inputs speak of. */
export function takeRisk(weights: Weights, inputs: readonly number[]): number {
  const reach = takeReach(inputs)
  return reach === 0 ? 0 : reach * takeProbability(weights, inputs)
}

export function takeProbability({ hidden, output }: Weights, inputs: readonly number[]): number {
  let total = output[0] ?? 0
  hidden.forEach((row, i) => {
    let sum = row[0] ?? 0
    for (let j = 0; j < inputs.length; j++) sum += (row[j + 1] ?? 0) * (inputs[j] ?? 0)
    total += (output[i + 1] ?? 0) * Math.tanh(sum)
  })
  return 1 / (1 + Math.exp(-total))
}
