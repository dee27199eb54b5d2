// Every rule's query against a server that has watched 200 nodes with 100 namespaces each for an hour: it returns data, and costs little more than a look at all of them.

import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { endOf, withBackfilledServer } from '../../grafana/preview/backfill.ts'
import { FLEET, HOUR, SEED } from '../../grafana/preview/backfill-fleet.ts'
import { hasProgram } from '../support/program/tools.ts'
import type { PrometheusServer } from '../support/prometheus/prometheus-server.ts'
import { parseQuery } from '../support/prometheus/promql.ts'
import { listAlerts, listRecordings } from '../support/prometheus/rules-files.ts'

const RUNS = 5
/** What every dashboard does: one look at each pool. Machines differ, and so do what they pay for it and for a rule alike. */
const LOOK = 'count(ephemeral_port_pool_utilization_ratio)'
/** A quarter of a second on a fast machine: the rule with the most then takes a tenth of the shortest usual interval of 15 s. */
const LIMIT_LOOKS = 6
/** How often a query over the limit is asked for its five runs: one that is really slow is so each time. */
const ROUNDS = 3
const PAUSE_MS = 5000
/** Nothing of the fleet is so unwell: here the metrics themselves must have data. */
const QUIET = [
  'EphemeralPortExhausted (warning)',
  'EphemeralPortPoolMayBeFull (warning)',
  'EphemeralPortSamplesStale (warning)',
  'EphemeralPortNamespaceUnreadable (warning)',
  'EphemeralPortProbeFailing (warning)',
  'EphemeralPortCollectorFailing (warning)',
  'EphemeralPortNatPortsExhausted (critical)',
  'EphemeralPortNatPortsExhausted (warning)',
  'EphemeralPortNatPortsFillingUp (warning)',
  'EphemeralPortConntrackTableFull (warning)',
]

const rules = [
  ...listRecordings().map(({ record, expr }) => ({ name: record, expr })),
  ...listAlerts().map(({ alert, labels, expr }) => {
    return { name: `${alert} (${labels.severity})`, expr }
  }),
]

/** The middle one of five runs, by the clock and by the CPU time of the server: where other programs hold the processors, the less counts. */
async function timeQuery(server: PrometheusServer, expr: string) {
  const runs: { wall: number; cpu: number }[] = []
  let series = 0
  for (let run = 0; run < RUNS; run++) {
    const [start, cpuStart] = [performance.now(), server.cpuSeconds()]
    series = (await server.query(expr, endOf(HOUR))).length
    const cpu = server.cpuSeconds() - cpuStart
    runs.push({ wall: (performance.now() - start) / 1000, cpu })
  }
  const middle = (of: (run: { wall: number; cpu: number }) => number) =>
    runs.map(of).sort((a, b) => a - b)[(RUNS - 1) / 2] ?? Number.NaN
  const [wall, cpu] = [middle((run) => run.wall), middle((run) => run.cpu)]
  return {
    series,
    cpu,
    seconds: middle((run) => Math.min(run.wall, run.cpu)),
    times: `${wall.toFixed(2)} s, CPU ${cpu.toFixed(2)} s`,
  }
}

/** What a neighbour on the machine costs, caches and memory included, is over after a while. */
async function judge(server: PrometheusServer, name: string, expr: string, first: number) {
  let look = first
  for (let round = 1; ; round++) {
    const times = await timeQuery(server, expr)
    const looks = times.seconds / look
    const text = `${looks.toFixed(1)} looks, ${times.times}: ${name}`
    if (looks < LIMIT_LOOKS || round === ROUNDS) return { ...times, looks, text }
    console.log(`over ${LIMIT_LOOKS} looks in round ${round} of ${ROUNDS}: ${text}`)
    await delay(PAUSE_MS)
    look = (await timeQuery(server, LOOK)).seconds
  }
}

test('Every rule returns data for 200 nodes with 100 namespaces each, for at most six looks at each pool', {
  timeout: 1_200_000,
}, async (ctx) => {
  if (!hasProgram('prometheus') && process.env.CI !== 'true') ctx.skip('needs prometheus')
  const fleet = { size: FLEET, steps: HOUR, seed: SEED }
  await withBackfilledServer(fleet, console.log, async (server) => {
    const first = await timeQuery(server, LOOK)
    console.log(`one look at ${FLEET.nodes * FLEET.namespacesPerNode} namespaces: ${first.times}`)
    const empty: string[] = []
    const all: Awaited<ReturnType<typeof judge>>[] = []
    for (const { name, expr } of rules) {
      const judged = await judge(server, name, expr, first.seconds)
      all.push(judged)
      if (judged.series > 0) continue
      empty.push(name)
      for (const { metric } of parseQuery(expr).selectors.filter(
        (one) => one.metric !== 'ALERTS',
      )) {
        const [count] = await server.query(`count(${metric})`, endOf(HOUR))
        expect(Number(count?.points[0]?.[1]), `${metric} of ${name}`).toBeGreaterThan(0)
      }
    }
    all.sort((a, b) => b.looks - a.looks)
    for (const { text } of all.slice(0, 5)) console.log(`${text}`)
    const cpu = all.reduce((sum, one) => sum + one.cpu, 0)
    console.log(`all ${all.length} rules once: ${cpu.toFixed(1)} s of CPU time`)
    expect(all.filter(({ looks }) => looks >= LIMIT_LOOKS).map(({ text }) => text)).toEqual([])
    expect(empty).toEqual(QUIET)
  })
})
