// npm run bench:forecast:learn: all families of load -> src/model/forecast/weights.ts.

import { writeFileSync } from 'node:fs'
import type { Weights } from '../../../src/model/forecast/risk.ts'
import { CIRCUMSTANCES, DANGERS } from '../../../src/model/forecast/signals.ts'
import { families } from './families.ts'
import { drawLessons, learnWeights } from './lessons.ts'

const RUNS = Number(process.env.BENCH_RUNS ?? 24)

const lessons = drawLessons(families, RUNS)
writeFileSync(
  new URL('../../../src/model/forecast/weights.ts', import.meta.url),
  renderWeights(learnWeights(lessons)),
)
console.error(`${lessons.length} examples, ${process.uptime().toFixed(0)} s`)

function renderWeights({ hidden, output }: Weights): string {
  return [
    '// The weights of the risk. Written by `npm run bench:forecast:learn`: do not edit.',
    '// Each row holds its constant, then the weight of each input:',
    ...[...DANGERS, ...CIRCUMSTANCES].map((name) => `// * ${name}`),
    '',
    "import type { Weights } from './risk.ts'",
    '',
    'export const WEIGHTS: Weights = {',
    '  hidden: [',
    ...hidden.map((row) => `    [${row.join(', ')}],`),
    '  ],',
    `  output: [${output.join(', ')}],`,
    '}',
    '',
  ].join('\n')
}
