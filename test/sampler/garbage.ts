// Holds 50,000 objects, replaces them again and again, and prints the most bytes that the heap had. Given `supervised` it starts
// a supervisor before. Started by heaps.test.ts.

import type { WorkerOptions } from '../../src/sample.ts'
import { startSupervisor } from '../../src/sampler/supervisor.ts'

const HELD = 50_000
const ROUNDS = 20

const ignore = () => {}
const events = { opened: ignore, refused: ignore, sampled: ignore, died: ignore, stuck: ignore }
if (process.argv[2] === 'supervised') {
  const entry = new URL('data:text/javascript,')
  await startSupervisor({} as WorkerOptions, events, entry).stop()
}
const held: unknown[] = []
let most = 0
for (let at = 0; at < HELD * ROUNDS; at++) {
  held[at % HELD] = { at, text: `number ${at}`, list: [at, at + 1, at + 2, at + 3] }
  if (at % 10_000 === 0) most = Math.max(most, process.memoryUsage().heapTotal)
}
process.stdout.write(String(most))
