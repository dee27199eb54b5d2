// A dashboard and its answers (window.PAGE) -> that dashboard, drawn by Grafana's own panel components in Grafana's grid. What is
// not Grafana's: this composition of them, since the panels' few lines around them are part of its server.

import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  createTheme,
  dateTime,
  FieldConfigOptionsRegistry,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  identityOverrideProcessor,
  standardTransformers,
  standardTransformersRegistry,
  ThemeContext,
  toDataFrame,
  transformDataFrame,
} from '@grafana/data'
import { initPluginTranslations } from '@grafana/i18n'
import { BarGauge, BigValue, GlobalStyles, PanelChrome, TimeSeries, VizRepeater } from '@grafana/ui'
import { TableNG } from '@grafana/ui/unstable'
import { createElement as h } from 'react'
import { createRoot } from 'react-dom/client'
import { fieldOptions, replaceVariables, toFrames } from './frames.ts'

const { dashboard, answers, span, chosen, caption, width } = window.PAGE
const theme = createTheme({ colors: { mode: 'dark' } })
const library = { FieldConfigOptionsRegistry, identityOverrideProcessor, toDataFrame }
/** What the panel of lines has unless a dashboard says otherwise. */
const LINE = {
  drawStyle: 'line',
  lineInterpolation: 'linear',
  lineWidth: 1,
  pointSize: 5,
  showPoints: 'auto',
  axisPlacement: 'auto',
  axisLabel: '',
  axisColorMode: 'text',
  axisBorderShow: false,
  scaleDistribution: { type: 'linear' },
  hideFrom: { legend: false, tooltip: false, viz: false },
  spanNulls: false,
  thresholdsStyle: { mode: 'off' },
}
const [MARGIN, ROW, GAP] = [16, 30, 8]
const COLUMN = (width - 2 * MARGIN + GAP) / 24
const timeRange = {
  from: dateTime(span.startSeconds * 1000),
  to: dateTime(span.endSeconds * 1000),
  raw: { from: dateTime(span.startSeconds * 1000), to: dateTime(span.endSeconds * 1000) },
}

standardTransformersRegistry.setInit(() =>
  [standardTransformers.mergeTransformer, standardTransformers.organizeFieldsTransformer].map(
    (transformation) => ({
      id: transformation.id,
      name: transformation.id,
      transformation: async () => transformation,
    }),
  ),
)

async function prepare(panel) {
  const frames = toFrames(library, panel, answers[panel.id] ?? [])
  for (const frame of frames) {
    if (panel.type === 'timeseries') frame.fields[0].config.interval = span.stepSeconds * 1000
  }
  const transformed = await new Promise((resolve) => {
    transformDataFrame(panel.transformations ?? [], frames).subscribe(resolve)
  })
  const { defaults, overrides } = panel.fieldConfig
  const fieldConfig = {
    defaults:
      panel.type === 'timeseries'
        ? { ...defaults, custom: { ...LINE, ...defaults.custom } }
        : defaults,
    overrides,
  }
  const common = { fieldConfig, replaceVariables, theme, timeZone: 'utc' }
  const shown = applyFieldOverrides({
    ...common,
    data: transformed,
    fieldConfigRegistry: fieldOptions(library),
  })
  cacheFieldDisplayNames(shown)
  return { ...common, panel, frames: shown }
}

function Numbers({ prepared, width, height }) {
  const { panel, frames, ...common } = prepared
  const { options } = panel
  const isBar = panel.type === 'bargauge'
  const renderValue = ({
    value: { display, field },
    width,
    height,
    count,
    alignmentFactors,
    orientation,
  }) =>
    isBar
      ? h(BarGauge, {
          value: display,
          field,
          width,
          height,
          theme,
          orientation,
          alignmentFactors,
          displayMode: options.displayMode,
          itemSpacing: 8,
          lcdCellWidth: 12,
          showUnfilled: options.showUnfilled,
          valueDisplayMode: options.valueMode,
          namePlacement: options.namePlacement,
        })
      : h(BigValue, {
          value: display,
          width,
          height,
          theme,
          count,
          alignmentFactors,
          colorMode: options.colorMode,
          graphMode: options.graphMode,
          textMode: options.textMode,
          text: options.text,
          justifyMode: options.justifyMode ?? 'auto',
        })
  return h(VizRepeater, {
    getValues: () =>
      getFieldDisplayValues({ ...common, data: frames, reduceOptions: options.reduceOptions }),
    getAlignmentFactors: (values) => getDisplayValueAlignmentFactors(values),
    renderValue,
    width,
    height,
    source: frames,
    renderCounter: 1,
    orientation: options.orientation ?? 'auto',
    ...(isBar ? { minVizHeight: 16, minVizWidth: 8 } : { itemSpacing: 3, autoGrid: true }),
  })
}

function Body({ prepared, width, height }) {
  const { panel, frames } = prepared
  if (panel.type === 'stat' || panel.type === 'bargauge')
    return h(Numbers, { prepared, width, height })
  if (frames.every((frame) => frame.length === 0)) {
    return h('div', { className: 'none', style: { height } }, 'No data')
  }
  if (panel.type === 'table') {
    return h(TableNG, {
      data: frames[0],
      width,
      height,
      noHeader: false,
      showTypeIcons: false,
      resizable: true,
      timeRange,
      enableSharedCrosshair: false,
      structureRev: 1,
      fieldConfig: panel.fieldConfig,
      sortBy: panel.options.sortBy,
      getActions: () => [],
      disableSanitizeHtml: true,
    })
  }
  return h(TimeSeries, {
    frames,
    width,
    height,
    timeRange,
    timeZone: 'utc',
    structureRev: 1,
    legend: panel.options.legend,
    options: panel.options,
  })
}

function Panel({ prepared, top }) {
  const { panel } = prepared
  const { x, y, w, h: rows } = panel.gridPos
  const box = { width: w * COLUMN - GAP, height: rows * (ROW + GAP) - GAP }
  const place = {
    position: 'absolute',
    left: MARGIN + x * COLUMN,
    top: top + y * (ROW + GAP),
    ...box,
  }
  if (panel.type === 'row') {
    const title = Object.entries(chosen).reduce(
      (text, [name, value]) => text.replaceAll(`$${name}`, value),
      panel.title,
    )
    return h(
      'div',
      { className: 'section', style: place },
      `${panel.collapsed ? '›' : '⌄'} ${title}`,
    )
  }
  return h(
    'div',
    { style: place },
    h(
      PanelChrome,
      { ...box, title: panel.title, description: panel.description },
      (innerWidth, innerHeight) => h(Body, { prepared, width: innerWidth, height: innerHeight }),
    ),
  )
}

const STYLE = `
body { background: ${theme.colors.background.canvas}; overflow: hidden }
header { padding: 12px 16px; color: ${theme.colors.text.primary} }
header h1 { font-size: 18px; margin: 0 0 6px }
header span { border: 1px solid ${theme.colors.border.medium}; padding: 3px 8px; margin-right: 8px; border-radius: 2px }
header em { display: block; margin-top: 8px; color: ${theme.colors.text.secondary}; font-size: 12px }
.section { font-weight: 500; font-size: 16px; color: ${theme.colors.text.primary} }
.none { display: flex; align-items: center; justify-content: center; color: ${theme.colors.text.secondary} }
`

function Page({ all }) {
  const picks = Object.entries(chosen).map(([name, value]) =>
    h('span', { key: name }, h('b', null, name), ` ${value}`),
  )
  return h(
    ThemeContext.Provider,
    { value: theme },
    h(GlobalStyles),
    h('style', null, STYLE),
    h('header', null, h('h1', null, dashboard.title), picks, h('em', null, caption)),
    all.map((prepared) => h(Panel, { key: prepared.panel.id, prepared, top: 104 })),
  )
}

await initPluginTranslations('grafana')
const all = await Promise.all(
  dashboard.panels.map(async (panel) => (panel.type === 'row' ? { panel } : await prepare(panel))),
)
createRoot(document.getElementById('root')).render(h(Page, { all }))
