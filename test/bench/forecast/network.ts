// Learns the weights of the risk: examples -> a small network whose weights of dangers are not negative (Adam, full passes in
// small batches, fixed seed).

import type { Weights } from '../../../src/model/forecast/risk.ts'
import type { Random } from './random.ts'

export interface Lesson {
  readonly inputs: readonly number[]
  readonly failed: boolean
  readonly weight: number
}

export interface Course {
  readonly hidden: number
  readonly passes: number
  readonly decay: number
  /** The first so many inputs are dangers: more of them is never less risk. */
  readonly dangers: number
}

const BATCH = 64
const RATE = 0.004
const [KEPT, SQUARES_KEPT] = [0.9, 0.999]

export function learn(lessons: readonly Lesson[], random: Random, course: Course): Weights {
  const inputs = (lessons[0]?.inputs.length ?? 0) + 1
  const count = course.hidden * inputs + course.hidden + 1
  const values = Float64Array.from({ length: count }, () => random.between(-0.3, 0.3))
  const output = course.hidden * inputs
  const clip = () => {
    for (let h = 0; h < course.hidden; h++) {
      for (let i = 1; i < inputs; i++) {
        const at = h * inputs + i
        if (i <= course.dangers) values[at] = Math.max(0, values[at] ?? 0)
      }
      values[output + 1 + h] = Math.max(0, values[output + 1 + h] ?? 0)
    }
  }
  for (let h = 0; h < course.hidden; h++) values[output + 1 + h] = 0.5
  clip()
  const [means, squares, gradient] = [
    new Float64Array(count),
    new Float64Array(count),
    new Float64Array(count),
  ]
  const sums = new Float64Array(course.hidden)
  const order = lessons.map((_, i) => i)
  let step = 0
  const total = course.passes * Math.ceil(lessons.length / BATCH)
  for (let pass = 0; pass < course.passes; pass++) {
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(random.next() * (i + 1))
      ;[order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0]
    }
    for (let begin = 0; begin < order.length; begin += BATCH) {
      gradient.fill(0)
      let weights = 0
      for (let n = begin; n < Math.min(order.length, begin + BATCH); n++) {
        const lesson = lessons[order[n] ?? 0]
        if (lesson === undefined) continue
        let logit = values[output] ?? 0
        for (let h = 0; h < course.hidden; h++) {
          const row = h * inputs
          let sum = values[row] ?? 0
          for (let i = 1; i < inputs; i++)
            sum += (values[row + i] ?? 0) * (lesson.inputs[i - 1] ?? 0)
          sums[h] = Math.tanh(sum)
          logit += (values[output + 1 + h] ?? 0) * (sums[h] ?? 0)
        }
        const error = (1 / (1 + Math.exp(-logit)) - (lesson.failed ? 1 : 0)) * lesson.weight
        weights += lesson.weight
        gradient[output] = (gradient[output] ?? 0) + error
        for (let h = 0; h < course.hidden; h++) {
          const value = sums[h] ?? 0
          const at = output + 1 + h
          gradient[at] = (gradient[at] ?? 0) + error * value
          const inner = error * (values[at] ?? 0) * (1 - value * value)
          const row = h * inputs
          gradient[row] = (gradient[row] ?? 0) + inner
          for (let i = 1; i < inputs; i++) {
            gradient[row + i] = (gradient[row + i] ?? 0) + inner * (lesson.inputs[i - 1] ?? 0)
          }
        }
      }
      step++
      const rate = RATE * 0.5 * (1 + Math.cos((Math.PI * step) / total))
      for (let i = 0; i < count; i++) {
        const g = (gradient[i] ?? 0) / weights + course.decay * (values[i] ?? 0)
        means[i] = KEPT * (means[i] ?? 0) + (1 - KEPT) * g
        squares[i] = SQUARES_KEPT * (squares[i] ?? 0) + (1 - SQUARES_KEPT) * g * g
        const mean = (means[i] ?? 0) / (1 - KEPT ** step)
        const square = (squares[i] ?? 0) / (1 - SQUARES_KEPT ** step)
        values[i] = (values[i] ?? 0) - (rate * mean) / (Math.sqrt(square) + 1e-8)
      }
      clip()
    }
  }
  const at = (from: number, length: number) =>
    Array.from(values.subarray(from, from + length), (value) => Math.round(value * 1000) / 1000)
  return {
    hidden: Array.from({ length: course.hidden }, (_, h) => at(h * inputs, inputs)),
    output: at(output, course.hidden + 1),
  }
}
