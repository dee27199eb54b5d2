// What a real Prometheus server, with an hour of a fleet in it, answers to every panel of the committed dashboards.

import { readAnswers } from '../../grafana/preview/answers.ts'
import { spanOf, withBackfilledServer } from '../../grafana/preview/backfill.ts'
import { HOUR, netnsName, SEED, SHOWN, target } from '../../grafana/preview/backfill-fleet.ts'
import {
  DASHBOARDS,
  type DashboardFile,
  listPanels,
  type Panel,
  readDashboard,
} from '../../grafana/preview/model.ts'
import { type Choice, substitute } from '../../grafana/preview/variables.ts'
import type { Series } from '../support/prometheus/prometheus-server.ts'

/** So many that those in trouble are among them, and each answer has its rows. */
const SIZE = { nodes: 64, namespacesPerNode: 13 }

export const choices: Readonly<Record<DashboardFile, Choice>> = {
  'ephemeral-port-overview.json': {},
  'ephemeral-port-netns.json': {
    ...target(SHOWN.node),
    netns: netnsName(SHOWN.node, SHOWN.number),
  },
}

export interface AnsweredPanel {
  readonly file: DashboardFile
  readonly panel: Panel
  /** The dashboard and the title. */
  readonly name: string
}

export const panels: readonly AnsweredPanel[] = DASHBOARDS.flatMap((file) =>
  listPanels(readDashboard(file)).map((panel) => ({
    file,
    panel,
    name: `${file}: ${panel.title}`,
  })),
)

/** Throws if there is no panel with that title; of two it gives that of the overview. */
export function findPanel(title: string): AnsweredPanel {
  const found = panels.find(({ panel }) => panel.title === title)
  if (found === undefined) throw new Error(`No panel ${title}`)
  return found
}

export interface Answers {
  /** By target, in their order. */
  of(panel: AnsweredPanel): readonly (readonly Series[])[]
  /** The alerts that each dashboard marks, in the order of DASHBOARDS. */
  readonly marked: readonly (readonly Series[])[]
}

/** Takes some seconds, where the data has been made before. */
export async function askBackfilledServer(): Promise<Answers> {
  const answers = new Map<string, readonly (readonly Series[])[]>()
  const marked: (readonly Series[])[] = []
  const backfill = { size: SIZE, steps: HOUR, seed: SEED }
  await withBackfilledServer(backfill, console.log, async (server) => {
    const time = { span: spanOf(HOUR), scrapeSeconds: HOUR.stepSeconds }
    for (const file of DASHBOARDS) {
      const question = { choice: choices[file], time }
      const found = await readAnswers(server, readDashboard(file), question)
      for (const [id, series] of found) answers.set(`${file} ${id}`, series)
      const { annotations, templating } = readDashboard(file)
      const expr = annotations.list[0]?.expr ?? ''
      marked.push(
        await server.query(substitute(expr, templating.list, choices[file], time), time.span),
      )
    }
  })
  return { of: ({ file, panel }) => answers.get(`${file} ${panel.id}`) ?? [], marked }
}

/** Page and parameters of a link. */
export function parseLink(href = ''): Readonly<Record<string, string>> {
  const { pathname, searchParams } = new URL(href, 'http://grafana')
  return { page: pathname, ...Object.fromEntries(searchParams) }
}
