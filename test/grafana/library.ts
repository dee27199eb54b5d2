// Grafana's own data library in two versions, as its panels use it: a panel and the answers to its queries -> fields with the
// texts, colors and links that Grafana shows. Only what stands in Grafana's server or its Prometheus data source is done here: the
// frames are made, and the kinds of field options registered.

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Panel } from '../../grafana/preview/model.ts'
import type { Series } from '../support/prometheus/prometheus-server.ts'

export const VERSIONS = ['10.4', '13.2'] as const
export type Version = (typeof VERSIONS)[number]

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

interface FieldDisplay {
  readonly display: Display & { readonly title?: string }
}

/** What is used of @grafana/data. */
interface Library {
  readonly FieldConfigOptionsRegistry: new (init: () => readonly unknown[]) => object
  readonly standardTransformersRegistry: { setInit(init: () => readonly unknown[]): void }
  readonly standardTransformers: Readonly<Record<string, { readonly id: string }>>
  readonly locationUtil: { initialize(options: object): void }
  createTheme(options: { readonly colors: { readonly mode: 'dark' } }): object
  toDataFrame(frame: object): Frame
  transformDataFrame(
    transformations: readonly unknown[],
    frames: readonly Frame[],
  ): { subscribe(next: (frames: readonly Frame[]) => void): void }
  applyFieldOverrides(options: object): readonly Frame[]
  getFieldDisplayValues(options: object): readonly FieldDisplay[]
  getFieldDisplayName(field: Field, frame: Frame, frames: readonly Frame[]): string
  formattedValueToString(value: Display): string
  readonly identityOverrideProcessor: unknown
}

const require = createRequire(new URL('package.json', import.meta.url))

export const isInstalled = existsSync(new URL('node_modules', import.meta.url))

const loaded = new Map<Version, Library>()

/** NB: 13 takes a `window` for a whole browser, and 10 wants one; so 13 is loaded first. Both ask for the language. */
export function loadLibrary(version: Version): Library {
  if (loaded.size === 0) {
    for (const [name, path] of [
      ['13.2', 'grafana-data-13'],
      ['10.4', 'grafana-data-10'],
    ] as const) {
      if (name === '10.4')
        Object.assign(globalThis, { window: globalThis, navigator: { languages: ['en'] } })
      const library = require(path) as Library
      prepare(name, library)
      loaded.set(name, library)
    }
  }
  const library = loaded.get(version)
  if (library === undefined) throw new Error(`Cannot load Grafana's library ${version}`)
  return library
}

function prepare(version: Version, library: Library): void {
  const { mergeTransformer, organizeFieldsTransformer } = library.standardTransformers
  library.standardTransformersRegistry.setInit(() =>
    [mergeTransformer, organizeFieldsTransformer].map((transformation) => ({
      id: transformation?.id,
      name: transformation?.id,
      // 13 loads them when they are needed.
      transformation: version === '10.4' ? transformation : async () => transformation,
    })),
  )
  library.locationUtil.initialize({
    config: { appSubUrl: '' },
    getVariablesUrlParams: () => ({}),
    getTimeRangeForUrl: () => ({ from: 'now-1h', to: 'now' }),
  })
}

const OPTIONS = [
  ...['unit', 'decimals', 'min', 'max', 'mappings', 'thresholds', 'color', 'noValue', 'links'],
  ...['custom.width', 'custom.minWidth', 'custom.hidden', 'custom.hideFrom', 'custom.cellOptions'],
  ...['custom.lineStyle', 'custom.lineWidth', 'custom.fillOpacity', 'custom.stacking'],
]

/** As Grafana's panels register their field options. */
function fieldOptions(library: Library): object {
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
function toFrames(
  { toDataFrame }: Library,
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
            name: 'Value',
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

/** Grafana's templateSrv, as far as links need it. */
function replaceVariables(
  text: string,
  scope: { readonly __dataContext?: { readonly value: DataContext } } = {},
): string {
  const { frame, field, rowIndex = 0 } = scope.__dataContext?.value ?? {}
  return text.replaceAll(/\$\{([\w.]+)(?::(\w+))?\}/g, (found, path: string, format?: string) => {
    if (path === '__url_time_range') return 'from=now-1h&to=now'
    if (format === 'queryparam') return `var-${path}=${path === 'datasource' ? 'prom' : '$__all'}`
    const name = path.split('.').at(-1) ?? ''
    const value = path.startsWith('__data.fields.')
      ? frame?.fields.find((one) => one.name === name)?.values[rowIndex]
      : field?.labels?.[name]
    if (value === undefined) return found
    return format === 'percentencode' ? encodeURIComponent(`${value}`) : `${value}`
  })
}

/** What the panel shows: transformed, with displays and links; and the numbers that a stat or a bar gauge makes of it. */
export async function applyPanel(
  version: Version,
  panel: Panel,
  answers: readonly (readonly Series[])[],
) {
  const library = loadLibrary(version)
  const common = {
    fieldConfig: panel.fieldConfig ?? { defaults: {}, overrides: [] },
    replaceVariables,
    theme: library.createTheme({ colors: { mode: 'dark' } }),
    timeZone: 'utc',
  }
  const frames = toFrames(library, panel, answers)
  const transformed = await new Promise<readonly Frame[]>((resolve) => {
    library.transformDataFrame(panel.transformations ?? [], frames).subscribe(resolve)
  })
  const shown = library.applyFieldOverrides({
    ...common,
    data: [...transformed],
    fieldConfigRegistry: fieldOptions(library),
  })
  const numbers = library
    .getFieldDisplayValues({
      ...common,
      data: [...shown],
      reduceOptions: { calcs: ['lastNotNull'], values: false, fields: '' },
    })
    .map(({ display }) => ({
      text: library.formattedValueToString(display),
      color: display.color,
    }))
  const nameOf = (field: Field, frame: Frame) => library.getFieldDisplayName(field, frame, shown)
  return { frames: shown, numbers, nameOf }
}
