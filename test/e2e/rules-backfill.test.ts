// Every rule's query against a server that has watched 200 nodes with 100 namespaces each for an hour: it returns data, and costs
// no more than a few looks at all of them.

import { expect, test } from 'vitest'
import { endOf, withBackfilledServer } from '../../grafana/preview/backfill.ts'
import { FLEET, HOUR, SEED } from '../../grafana/preview/backfill-fleet.ts'
import { hasProgram } from '../support/program/tools.ts'
import { askAll } from '../support/prometheus/looks.ts'
import { parseQuery } from '../support/prometheus/promql.ts'
import { listAlerts, listRecordings } from '../support/prometheus/rules-files.ts'

/** The dearest rule takes about five of them. Joins in the wrong order take many more. */
const LIMIT_LOOKS = 8
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

test('Every rule returns data for 200 nodes with 100 namespaces each, for less than eight looks at each pool', {
  timeout: 1_200_000,
}, async (ctx) => {
  if (!hasProgram('prometheus') && process.env.CI !== 'true') ctx.skip('needs prometheus')
  const fleet = { size: FLEET, steps: HOUR, seed: SEED }
  await withBackfilledServer(fleet, console.log, async (server) => {
    const questions = rules.map(({ name, expr }) => {
      return { name, ask: () => server.query(expr, endOf(HOUR)) }
    })
    const answers = await askAll(server, endOf(HOUR), questions, LIMIT_LOOKS)
    const cpuSeconds = answers.reduce((sum, one) => sum + one.cpuSeconds, 0)
    console.log(`all ${answers.length} rules once: ${cpuSeconds.toFixed(1)} s of CPU time`)
    const slow = answers.filter(({ looks }) => !(looks < LIMIT_LOOKS))
    expect(slow.map(({ text }) => text)).toEqual([])
    const empty = rules.filter((_, index) => answers[index]?.series.length === 0)
    expect(empty.map(({ name }) => name)).toEqual(QUIET)
    for (const { name, expr } of empty) {
      const { selectors } = parseQuery(expr)
      for (const { metric } of selectors.filter((one) => one.metric !== 'ALERTS')) {
        const [count] = await server.query(`count(${metric})`, endOf(HOUR))
        expect(Number(count?.points[0]?.[1]), `${metric} of ${name}`).toBeGreaterThan(0)
      }
    }
  })
})
