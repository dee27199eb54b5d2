// What stands between Prometheus and Grafana's libraries, and is in Grafana's server or its Prometheus data source: answers ->
// frames, the names of field options, and what variables in links stand for. Runs in Node and in a browser.

import type { Panel } from '../../grafana/preview/model.ts'
import type { Series } from '../support/prometheus/prometheus-server.ts'

export interface Display {
  readonly text: string
  readonly suffix?: string
  readonly color?: string
}

export interface Field {
  readonly name: string
  readonly type: string
  readonly labels?: Readonly<Record<string, string>>
  readonly config: {
    readonly custom?: Readonly<Record<string, unknown>>
    readonly color?: { readonly mode: string; readonly fixedColor?: string }
    readonly links?: readonly unknown[]
    readonly displayNameFromDS?: string
  }
  readonly state?: { readonly displayName?: string }
  readonly values: readonly unknown[]
  display?(value: unknown): Display
  getLinks?(config: { readonly valueRowIndex: number }): readonly { readonly href: string }[]
}

export interface Frame {
  readonly refId?: string
  readonly fields: readonly Field[]
}

/** What is used here of @grafana/data, of any version. */
export interface FrameLibrary {
  readonly FieldConfigOptionsRegistry: new (init: () => readonly unknown[]) => object
  toDataFrame(frame: object): Frame
  readonly identityOverrideProcessor: unknown
}

const OPTIONS = [
  ...['unit', 'decimals', 'min', 'max', 'mappings', 'thresholds', 'color', 'noValue', 'links'],
  ...['custom.width', 'custom.minWidth', 'custom.hidden', 'custom.hideFrom', 'custom.cellOptions'],
  ...['custom.lineStyle', 'custom.lineWidth', 'custom.fillOpacity', 'custom.stacking'],
  'custom.thresholdsStyle',
]

/** As Grafana's panels register their field options. */
export function fieldOptions(library: FrameLibrary): object {
  return new library.FieldConfigOptionsRegistry(() =>
    OPTIONS.map((id) => ({
      id,
      name: id,
      path: id.replace('custom.', ''),
      isCustom: id.startsWith('custom.'),
      process: library.identityOverrideProcessor,
      shouldApply: () => true,
    })),
  )
}

/** The frames of a panel as Grafana's Prometheus data source makes them: a table for a table, else one frame a series. */
export function toFrames(
  { toDataFrame }: FrameLibrary,
  panel: Panel,
  answers: readonly (readonly Series[])[],
): readonly Frame[] {
  return answers.flatMap((series, index) => {
    const { refId = '', legendFormat = '' } = panel.targets?.[index] ?? {}
    if (panel.type === 'table') {
      const names = [...new Set(series.flatMap(({ metric }) => Object.keys(metric)))]
      const value = answers.length === 1 ? 'Value' : `Value #${refId}`
      const at = (one: Series) => one.points.at(-1) ?? [0, 'NaN']
      return toDataFrame({
        refId,
        fields: [
          { name: 'Time', type: 'time', values: series.map((one) => at(one)[0] * 1000) },
          ...names.map((name) => ({
            name,
            type: 'string',
            config: { filterable: true },
            values: series.map(({ metric }) => metric[name]),
          })),
          { name: value, type: 'number', values: series.map((one) => Number(at(one)[1])) },
        ],
      })
    }
    return series.map(({ metric, points }) =>
      toDataFrame({
        refId,
        fields: [
          { name: 'Time', type: 'time', values: points.map(([seconds]) => seconds * 1000) },
          {
            // Since Grafana 10 the data source names it after the metric, if the answer has one.
            name: metric.__name__ ?? 'Value',
            type: 'number',
            labels: metric,
            config: { displayNameFromDS: renderLegend(legendFormat, metric) },
            values: points.map(([, text]) => Number(text)),
          },
        ],
      }),
    )
  })
}

function renderLegend(format: string, labels: Readonly<Record<string, string>>): string {
  return format.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? '')
}

interface DataContext {
  readonly frame: Frame
  readonly field: Field
  readonly rowIndex?: number
}

/** The beginning of the time shown, as links have it: milliseconds. */
export const FROM = 1_749_996_400_000

/** Grafana's templateSrv, as far as links need it. */
export function replaceVariables(
  text: string,
  scope: { readonly __dataContext?: { readonly value: DataContext } } = {},
): string {
  const { frame, field, rowIndex = 0 } = scope.__dataContext?.value ?? {}
  return text.replaceAll(/\$\{([\w.]+)(?::(\w+))?\}/g, (found, path: string, format?: string) => {
    if (path === '__url_time_range') return 'from=now-1h&to=now'
    if (format === 'queryparam') return `var-${path}=${path === 'datasource' ? 'prom' : '$__all'}`
    if (path === '__from') return `${FROM}`
    if (path === '__value.time') {
      return `${frame?.fields.find(({ type }) => type === 'time')?.values[rowIndex]}`
    }
    if (path === '__field.displayName') return field?.state?.displayName ?? field?.name ?? ''
    const name = path.split('.').at(-1) ?? ''
    const value = path.startsWith('__data.fields.')
      ? frame?.fields.find((one) => one.name === name)?.values[rowIndex]
      : field?.labels?.[name]
    if (value === undefined) return found
    return format === 'percentencode' ? encodeURIComponent(`${value}`) : `${value}`
  })
}
