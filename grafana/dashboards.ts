// The list of dashboards, and what they have in common -> the JSON that is committed, packaged and imported.

import {
  AnnotationQueryBuilder,
  DashboardBuilder,
  DashboardCursorSync,
  type GridPos,
  type QueryVariableBuilder,
  RowBuilder,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { detailSections } from './detail.ts'
import { DETAIL, headLinks, OVERVIEW, TAG } from './links.ts'
import { overviewSections } from './overview.ts'
import type { Section } from './section.ts'
import { fleet, OF_NAMESPACES } from './selectors.ts'
import { datasource, fleetVariables, namespaceVariables } from './variables.ts'

interface Definition {
  readonly uid: string
  readonly title: string
  readonly description: string
  readonly variables: readonly QueryVariableBuilder[]
  readonly sections: readonly Section[]
  /** The matcher that its alerts have beside those of the fleet. */
  readonly alertsOf: string
}

const definitions: readonly Definition[] = [
  {
    ...OVERVIEW,
    description:
      'Which pool of ephemeral ports is running out, where, when and because of whom: from one host to a fleet.',
    variables: fleetVariables() as QueryVariableBuilder[],
    sections: overviewSections(),
    alertsOf: OF_NAMESPACES,
  },
  {
    ...DETAIL,
    description:
      'One network namespace: its pools and their forecast, who holds the ports, and how well the exporter sees it.',
    variables: namespaceVariables() as QueryVariableBuilder[],
    sections: detailSections(),
    // Those about the exporter have no netns.
    alertsOf: 'netns=~"|$netns"',
  },
]

/** By file name. */
export function renderDashboards(): Readonly<Record<string, string>> {
  return Object.fromEntries(
    definitions.map((definition) => [
      `${definition.uid}.json`,
      `${JSON.stringify(build(definition), null, 2)}\n`,
    ]),
  )
}

function build(definition: Definition): object {
  const builder = new DashboardBuilder(definition.title)
    .uid(definition.uid)
    .description(definition.description)
    .tags([TAG])
    .readonly()
    .tooltip(DashboardCursorSync.Crosshair)
    .time({ from: 'now-1h', to: 'now' })
    .refresh('1m')
    .timezone('browser')
    .variables([...definition.variables])
    .annotation(firingAlerts(definition.alertsOf))
    .links([...headLinks()])
  for (const section of definition.sections) {
    const row = new RowBuilder(section.title)
    if (section.folded === true) {
      row.collapsed(true)
      for (const panel of section.panels) row.withPanel(panel)
    }
    builder.withRow(row)
    if (section.folded !== true) for (const panel of section.panels) builder.withPanel(panel)
  }
  return finish(builder.build())
}

function firingAlerts(matcher: string): AnnotationQueryBuilder {
  return new AnnotationQueryBuilder()
    .name('Firing alerts')
    .datasource(datasource)
    .enable(true)
    .iconColor('red')
    .expr(
      fleet(
        'ALERTS',
        'alertname=~"EphemeralPort.+"',
        'alertstate="firing"',
        'severity!="info"',
        matcher,
      ),
    )
    .step('60s')
    .titleFormat('{{alertname}}')
    .textFormat('{{severity}}: {{netns}} {{pool}}, {{instance}}')
    .tagKeys('severity')
}

/**
 * Numbers the panels and closes the gaps below folded rows, which the SDK leaves to Grafana, and says the schema of Grafana
 * 10, of which nothing here is newer: later ones bring an older dashboard up to date by themselves, earlier ones cannot go back.
 */
function finish(dashboard: Built): object {
  let lastId = 0
  let folded = 0
  const place = <P extends Placed>(panel: P): P & { gridPos: GridPos } => ({
    ...panel,
    id: ++lastId,
    gridPos: { h: 1, w: 24, x: 0, ...panel.gridPos, y: (panel.gridPos?.y ?? 0) - folded },
  })
  const panels = dashboard.panels?.map((panel) => {
    const placed = place(panel)
    if (!('panels' in placed) || placed.panels.length === 0) return placed
    const inner = placed.panels.map(place)
    const bottom = Math.max(...inner.map(({ gridPos }) => (gridPos?.y ?? 0) + (gridPos?.h ?? 0)))
    folded += bottom - placed.gridPos.y - 1
    return { ...placed, panels: inner }
  })
  return { ...dashboard, schemaVersion: 39, panels }
}

type Built = ReturnType<DashboardBuilder['build']>
interface Placed {
  readonly gridPos?: GridPos
}
