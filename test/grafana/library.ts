// Grafana's own data library in two versions, as its panels use it: a panel and the answers to its queries -> fields with the
// texts, colors and links that Grafana shows. Only what stands in Grafana's server or its Prometheus data source is done here: the
// frames are made, and the kinds of field options registered.

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Panel } from '../../grafana/preview/model.ts'
import type { Series } from '../support/prometheus/prometheus-server.ts'
import {
  type Display,
  type Field,
  type Frame,
  type FrameLibrary,
  fieldOptions,
  replaceVariables,
  toFrames,
} from './frames.ts'

export const VERSIONS = ['10.4', '13.2'] as const
export type Version = (typeof VERSIONS)[number]

interface FieldDisplay {
  readonly display: Display & { readonly title?: string }
}

/** What is used of @grafana/data. */
interface Library extends FrameLibrary {
  readonly standardTransformersRegistry: { setInit(init: () => readonly unknown[]): void }
  readonly standardTransformers: Readonly<Record<string, { readonly id: string }>>
  readonly locationUtil: { initialize(options: object): void }
  createTheme(options: { readonly colors: { readonly mode: 'dark' } }): object
  transformDataFrame(
    transformations: readonly unknown[],
    frames: readonly Frame[],
  ): { subscribe(next: (frames: readonly Frame[]) => void): void }
  applyFieldOverrides(options: object): readonly Frame[]
  getFieldDisplayValues(options: object): readonly FieldDisplay[]
  getFieldDisplayName(field: Field, frame: Frame, frames: readonly Frame[]): string
  formattedValueToString(value: Display): string
  getFieldColorModeForField(field: Field): {
    getCalculator(field: Field, theme: object): (value: number, percent: number) => string
  }
}

const require = createRequire(new URL('package.json', import.meta.url))

export const isInstalled = existsSync(new URL('node_modules', import.meta.url))

const loaded = new Map<Version, Library>()

/** NB: 13 takes a `window` for a whole browser, and 10 wants one; so 13 is loaded first. Both ask for the language. */
function loadLibrary(version: Version): Library {
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
  /** That of a line. */
  const colorOf = (field: Field) =>
    library.getFieldColorModeForField(field).getCalculator(field, common.theme)(0, 0)
  return { frames: shown, numbers, nameOf, colorOf }
}
