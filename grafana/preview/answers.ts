// Asks a Prometheus server everything a dashboard asks, with the variables replaced as Grafana replaces them.

import type { PrometheusServer, Series } from '../../test/support/prometheus/prometheus-server.ts'
import { type Dashboard, listPanels, type Panel, type Target } from './model.ts'
import { type Choice, type QueryTime, substitute } from './variables.ts'

export interface Question {
  readonly choice: Choice
  readonly time: QueryTime
}

/** By panel id, in the order of its targets. */
export async function readAnswers(
  server: PrometheusServer,
  dashboard: Dashboard,
  question: Question,
): Promise<ReadonlyMap<number, readonly (readonly Series[])[]>> {
  const answers = new Map<number, readonly (readonly Series[])[]>()
  for (const panel of listPanels(dashboard)) {
    const ofPanel: (readonly Series[])[] = []
    for (const target of panel.targets ?? []) {
      ofPanel.push(await readTarget(server, dashboard, { panel, target }, question))
    }
    answers.set(panel.id, ofPanel)
  }
  return answers
}

export async function readTarget(
  server: PrometheusServer,
  dashboard: Dashboard,
  { panel, target }: { readonly panel: Panel; readonly target: Target },
  { choice, time }: Question,
): Promise<readonly Series[]> {
  const expression = substitute(target.expr, dashboard.templating.list, choice, time)
  const { endSeconds } = time.span
  try {
    return await server.query(
      expression,
      target.instant === true ? { atSeconds: endSeconds } : time.span,
    )
  } catch (error) {
    throw new Error(`Panel ${panel.title}, query ${target.refId}: ${expression}`, { cause: error })
  }
}
