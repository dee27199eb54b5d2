// Numbers and durations as the exporter-toolkit reads them: by YAML 1.1 and Go. Pure.

const unitsMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  '\u00b5s': 1e-3,
  '\u03bcs': 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/**
 * Milliseconds of a duration as Go writes it, 1.5s or 1m30s, which may be negative, or of a whole number, which are
 * nanoseconds; undefined for anything else.
 */
export function parseGoDurationMs(text: string): number | undefined {
  const nanoseconds = parseYamlInteger(text)
  if (nanoseconds !== undefined) return nanoseconds / 1e6
  const part = String.raw`(\d+(?:\.\d*)?|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)`
  const [, sign, amounts = ''] = new RegExp(`^([-+]?)((?:${part})+)$`).exec(text) ?? []
  if (sign === undefined) return undefined
  const parts = [...amounts.matchAll(new RegExp(part, 'g'))]
  const ms = parts.reduce((sum, [, n, unit = '']) => sum + Number(n) * (unitsMs[unit] ?? 0), 0)
  return sign === '-' ? -ms : ms
}

/** A whole number in any of the notations of YAML 1.1; a fraction is cut off. Undefined for anything else. */
export function parseYamlInteger(text: string): number | undefined {
  const [, sign, digits = ''] = /^([-+]?)([\d.][\w.+-]*)$/.exec(text.replaceAll('_', '')) ?? []
  if (sign === undefined) return undefined
  const isNumber = /^(?:0x[\da-f]+|0b[01]+|0o[0-7]+|(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?)$/i.test(
    digits,
  )
  const number = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits)
  return isNumber ? Math.trunc(sign === '-' ? -number : number) : undefined
}
