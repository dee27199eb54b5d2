// The committed dashboards as Grafana reads them: JSON -> panels, queries and variables.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const DASHBOARDS = ['ephemeral-port-overview.json', 'ephemeral-port-netns.json'] as const
export type DashboardFile = (typeof DASHBOARDS)[number]

export interface Target {
  readonly refId: string
  readonly expr: string
  readonly legendFormat?: string
  readonly instant?: boolean
  readonly range?: boolean
  readonly format?: string
  readonly datasource?: { readonly uid?: string }
}

export interface Property {
  readonly id: string
  readonly value: unknown
}

export interface FieldOptions {
  readonly unit?: string
  readonly decimals?: number
  readonly max?: number
  readonly noValue?: string
  readonly mappings?: readonly ValueMapping[]
  readonly thresholds?: { readonly steps: readonly Threshold[] }
  readonly links?: readonly Link[]
  readonly custom?: {
    readonly stacking?: { readonly mode?: string }
    readonly thresholdsStyle?: { readonly mode?: string }
  }
}

export interface Threshold {
  readonly value: number | null
  readonly color: string
}

export interface ValueMapping {
  readonly type: string
  readonly options: Readonly<Record<string, { readonly text?: string; readonly color?: string }>>
}

export interface Override {
  readonly matcher: { readonly id: string; readonly options: string }
  readonly properties: readonly Property[]
}

export interface Link {
  readonly title: string
  readonly url?: string
  readonly type?: string
  readonly tags?: readonly string[]
}

export interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly collapsed?: boolean
  readonly panels?: readonly Panel[]
  readonly gridPos: {
    readonly x: number
    readonly y: number
    readonly w: number
    readonly h: number
  }
  readonly targets?: readonly Target[]
  readonly datasource?: { readonly uid?: string }
  readonly fieldConfig?: {
    readonly defaults: FieldOptions
    readonly overrides: readonly Override[]
  }
  readonly options?: Readonly<Record<string, unknown>>
  readonly transformations?: readonly { readonly id: string; readonly options: unknown }[]
  readonly links?: readonly Link[]
}

export interface Variable {
  readonly name: string
  readonly label?: string
  readonly type: string
  readonly query: string
  readonly definition?: string
  readonly datasource?: { readonly uid?: string }
  readonly multi?: boolean
  readonly includeAll?: boolean
  readonly allValue?: string
  readonly refresh?: number
}

export interface Annotation {
  readonly name: string
  readonly expr: string
  readonly datasource?: { readonly uid?: string }
}

export interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly tags: readonly string[]
  readonly editable: boolean
  readonly refresh: string
  readonly timezone: string
  readonly schemaVersion: number
  readonly time: { readonly from: string; readonly to: string }
  readonly links: readonly Link[]
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly Variable[] }
  readonly annotations: { readonly list: readonly Annotation[] }
}

export const GRAFANA = fileURLToPath(new URL('../../grafana/', import.meta.url))

export function readDashboard(file: DashboardFile): Dashboard {
  return JSON.parse(readFileSync(`${GRAFANA}${file}`, 'utf8')) as Dashboard
}

/** All panels that show something: those of folded rows too, the rows themselves not. */
export function listPanels(dashboard: Dashboard): readonly Panel[] {
  return dashboard.panels.flatMap((panel) =>
    panel.type === 'row' ? (panel.panels ?? []) : [panel],
  )
}

export interface NamedQuery {
  /** `<panel>: <refId>` */
  readonly name: string
  readonly panel: Panel
  readonly target: Target
}

export function listQueries(dashboard: Dashboard): readonly NamedQuery[] {
  return listPanels(dashboard).flatMap((panel) =>
    (panel.targets ?? []).map((target) => ({
      name: `${panel.title}: ${target.refId}`,
      panel,
      target,
    })),
  )
}
