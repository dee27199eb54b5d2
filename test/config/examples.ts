// What readConfig() gives when nothing is said, and what each option changes.

import type { Config } from '../../src/config/config.ts'
import { isOptionName, type OptionName, optionNames } from '../../src/config/options.ts'

const allOn = { destinations: true, owners: true, listeners: true }
export const allCollectors = {
  ...allOn,
  failures: undefined,
  buckets: undefined,
  probe: false,
  kubernetes: false,
  nat: true,
}

export const defaults: Config = {
  command: 'serve',
  showHelp: false,
  showVersion: false,
  watch: false,
  json: false,
  listenAddresses: [{ text: ':10132', host: undefined, port: 10_132 }],
  telemetryPath: '/metrics',
  webConfigFile: undefined,
  exporterMetrics: true,
  source: 'auto',
  procfs: '/proc',
  cgroup: undefined,
  tracefs: undefined,
  everyNamespace: true,
  mostNamespaces: 500,
  sampleIntervalMs: 5000,
  cpuBudgetRatio: 0.02,
  peakWindowSeconds: 120,
  forecastHorizonSeconds: 900,
  natRanges: [],
  top: 10,
  detailMinUtilization: 0.2,
  collectors: allCollectors,
  log: { level: 'info', format: 'logfmt' },
}

export type FreeOption = Exclude<OptionName, 'help' | 'version' | 'config.file'>
const isFree = (name: string): name is FreeOption =>
  isOptionName(name) && !['help', 'version', 'config.file'].includes(name)
export const freeOptions = optionNames.filter(isFree)

/** Text for each option that is not its default, and what of the Config changes by it. */
export const examples: Record<FreeOption, [string, Partial<Config>]> = {
  'web.listen-address': [
    '[::1]:9',
    { listenAddresses: [{ text: '[::1]:9', host: '::1', port: 9 }] },
  ],
  'web.telemetry-path': ['/m', { telemetryPath: '/m' }],
  'web.config.file': ['web.yml', { webConfigFile: 'web.yml' }],
  'web.disable-exporter-metrics': ['true', { exporterMetrics: false }],
  source: ['procfs', { source: 'procfs' }],
  'path.procfs': ['/host/proc/', { procfs: '/host/proc' }],
  'path.cgroup': ['/host/cgroup', { cgroup: '/host/cgroup' }],
  'path.tracefs': ['/host/tracing', { tracefs: '/host/tracing' }],
  netns: ['self', { everyNamespace: false }],
  'netns.max': ['2000', { mostNamespaces: 2000 }],
  'sample.interval': ['1m30s', { sampleIntervalMs: 90_000 }],
  'sample.cpu-budget': ['.5', { cpuBudgetRatio: 0.5 }],
  'sample.peak-window': ['1500ms', { peakWindowSeconds: 1.5 }],
  'forecast.horizon': ['1h', { forecastHorizonSeconds: 3600 }],
  top: ['1000', { top: 1000 }],
  'detail.min-utilization': ['0', { detailMinUtilization: 0 }],
  'collector.destinations': ['0', { collectors: { ...allCollectors, destinations: false } }],
  'collector.owners': ['0', { collectors: { ...allCollectors, owners: false } }],
  'collector.listeners': ['false', { collectors: { ...allCollectors, listeners: false } }],
  'collector.failures': ['1', { collectors: { ...allCollectors, failures: true } }],
  'collector.buckets': ['1', { collectors: { ...allCollectors, buckets: true } }],
  'collector.probe': ['1', { collectors: { ...allCollectors, probe: true } }],
  'collector.nat': ['0', { collectors: { ...allCollectors, nat: false } }],
  'nat.port-range': [
    '10.77.2.9=40000-40099',
    { natRanges: [{ address: 0x0a4d0209, first: 40_000, last: 40_099 }] },
  ],
  'collector.kubernetes': ['1', { collectors: { ...allCollectors, kubernetes: true } }],
  'log.level': ['debug', { log: { level: 'debug', format: 'logfmt' } }],
  'log.format': ['json', { log: { level: 'info', format: 'json' } }],
  watch: ['1', { watch: true }],
  json: ['true', { json: true }],
}
