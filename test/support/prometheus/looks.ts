// How long a Prometheus server works for answers, in looks: a machine that takes longer for one look at each pool takes
// longer for every answer.

import { setTimeout as delay } from 'node:timers/promises'
import type { Moment, PrometheusServer, Series } from './prometheus-server.ts'

/** Reads each pool once: a quarter of a second for 20,000 namespaces on a fast machine, and 0.6 s on a slow one. */
const LOOK = 'count(ephemeral_port_pool_utilization_ratio)'
const RUNS = 3
/** How often an answer over the limit is timed: one that is really slow is so each time. */
const ROUNDS = 3
/** What a neighbour on the machine costs, caches and memory included, is over after a while. */
const PAUSE_MS = 5000

export interface Question {
  readonly name: string
  readonly ask: () => Promise<readonly Series[]>
}

export interface Answer {
  readonly name: string
  readonly series: readonly Series[]
  readonly looks: number
  /** Looks, time and CPU time in words. */
  readonly text: string
  readonly cpuSeconds: number
}

interface Timed {
  readonly series: readonly Series[]
  /** What counts of the other two. */
  readonly seconds: number
  readonly wallSeconds: number
  readonly cpuSeconds: number
}

/** Asks all. What takes `limit` looks or more is asked again after a pause. */
export async function askAll(
  server: PrometheusServer,
  at: Moment,
  questions: readonly Question[],
  limit: number,
): Promise<readonly Answer[]> {
  const look = async () => (await time(server, () => server.query(LOOK, at))).seconds
  const lookBefore = await look()
  const timed: (Question & { readonly first: Timed })[] = []
  for (const one of questions) timed.push({ ...one, first: await time(server, one.ask) })
  const least = Math.min(lookBefore, await look())
  const answers: Answer[] = []
  for (const { name, ask, first } of timed) {
    let answer = describe(name, first, least)
    for (let round = 2; answer.looks >= limit && round <= ROUNDS; round++) {
      console.log(`over ${limit} looks: ${answer.text}`)
      await delay(PAUSE_MS)
      answer = describe(name, await time(server, ask), await look())
    }
    answers.push(answer)
  }
  const slowest = answers.toSorted((a, b) => b.looks - a.looks).slice(0, 5)
  for (const { text } of slowest) console.log(`slowest: ${text}`)
  return answers
}

/**
 * Gives the middle one of three runs, by the clock or by the CPU time of the server. Where other programs hold the processors,
 * the less counts.
 */
async function time(server: PrometheusServer, ask: Question['ask']): Promise<Timed> {
  const runs: { wall: number; cpu: number }[] = []
  let series: readonly Series[] = []
  for (let run = 0; run < RUNS; run++) {
    const [start, cpuStart] = [performance.now(), server.cpuSeconds()]
    series = await ask()
    const cpu = server.cpuSeconds() - cpuStart
    runs.push({ wall: (performance.now() - start) / 1000, cpu })
  }
  const middle = (of: (run: { wall: number; cpu: number }) => number) =>
    runs.map(of).sort((a, b) => a - b)[(RUNS - 1) / 2] ?? Number.NaN
  return {
    series,
    seconds: middle(({ wall, cpu }) => Math.min(wall, cpu)),
    wallSeconds: middle(({ wall }) => wall),
    cpuSeconds: middle(({ cpu }) => cpu),
  }
}

function describe(
  name: string,
  { series, seconds, wallSeconds, cpuSeconds }: Timed,
  look: number,
): Answer {
  const looks = seconds / look
  const text = `${looks.toFixed(1)} looks, ${wallSeconds.toFixed(2)} s, CPU ${cpuSeconds.toFixed(2)} s: ${name}`
  return { name, series, looks, text, cpuSeconds }
}
