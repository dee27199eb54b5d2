// Values as Grafana would write and color them, for the units that the dashboards use: number and field options -> text, color.

import type { FieldOptions, Threshold } from './model.ts'

const COLORS: Readonly<Record<string, string>> = {
  green: '#56a64b',
  yellow: '#e0b400',
  orange: '#ff780a',
  red: '#e02f44',
  blue: '#3274d9',
  purple: '#8f3bb8',
  text: '#24292e',
}

export function colorOf(name: string | undefined): string | undefined {
  return name === undefined ? undefined : (COLORS[name] ?? name)
}

export function formatValue(value: number, options: FieldOptions): string {
  const mapped = options.mappings?.[0]?.options[`${value}`]?.text
  if (mapped !== undefined) return mapped
  if (Number.isNaN(value)) return 'NaN'
  const { unit = 'none', decimals } = options
  switch (unit) {
    case 'percentunit':
      return `${fixed(value * 100, decimals ?? 1)} %`
    case 's':
      return formatSeconds(value, decimals)
    case 'bytes':
      return scaled(value, 1024, [' B', ' KiB', ' MiB', ' GiB'], decimals)
    case 'short':
      return scaled(value, 1000, ['', ' K', ' Mil', ' Bil'], decimals)
    case 'cps':
      return scaled(value, 1000, [' c/s', 'K c/s', 'M c/s'], decimals)
    case 'bool_yes_no':
      return value === 0 ? 'No' : 'Yes'
    case 'locale':
      return (decimals === undefined ? value : Number(value.toFixed(decimals))).toLocaleString(
        'en-US',
      )
    default:
      return fixed(value, decimals ?? (Number.isInteger(value) ? 0 : 2))
  }
}

function fixed(value: number, decimals: number): string {
  return value.toFixed(decimals)
}

function formatSeconds(value: number, decimals = 1): string {
  const size = Math.abs(value)
  if (size > 0 && size < 1e-3) return `${fixed(value * 1e6, decimals)} us`
  if (size > 0 && size < 1) return `${fixed(value * 1e3, decimals)} ms`
  if (size < 60) return `${fixed(value, decimals)} s`
  if (size < 3600) return `${fixed(value / 60, decimals)} min`
  if (size < 86_400) return `${fixed(value / 3600, Math.max(1, decimals))} h`
  return `${fixed(value / 86_400, Math.max(1, decimals))} d`
}

function scaled(
  value: number,
  base: number,
  units: readonly string[],
  decimals: number | undefined,
): string {
  let rest = value
  let power = 0
  while (Math.abs(rest) >= base && power < units.length - 1) {
    rest /= base
    power++
  }
  const digits = decimals ?? (Number.isInteger(rest) || Math.abs(rest) >= 100 ? 0 : 1)
  return `${fixed(rest, digits)}${units[power]}`
}

/** Of the highest step that the value has reached; undefined where the panel does not color by value. */
export function thresholdColor(
  value: number,
  steps: readonly Threshold[] | undefined,
): string | undefined {
  const reached = steps?.filter((step) => step.value === null || value >= step.value).at(-1)
  return colorOf(reached?.color)
}

/** `{{label}}` -> its value, as in Grafana's legends; without a format the labels themselves. */
export function legendOf(
  format: string | undefined,
  labels: Readonly<Record<string, string>>,
): string {
  if (format === undefined) return Object.values(labels).join(' ') || 'Value'
  return format.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? '').trim()
}

/** For HTML, attributes included. */
export function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
