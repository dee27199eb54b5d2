// Log lines: message and fields -> one line of logfmt or JSON -> the `write` that is passed in. pino does the levels
// and makes any value safe to print; the rest of the program knows the interface Log only.

import { inspect } from 'node:util'
import { pino } from 'pino'

export type LogFields = Readonly<Record<string, unknown>>
type Write = (message: string, fields?: LogFields) => void

export interface Log {
  readonly debug: Write
  readonly info: Write
  readonly warn: Write
  readonly error: Write
}

export interface LogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly format: 'logfmt' | 'json'
  /** Receives whole lines. */
  readonly write: (line: string) => void
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/** Errors among the fields show their message; their stack and causes only while the level is debug. */
export function createLog({ level, format, write, now = Date.now }: LogOptions): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date(now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: format === 'json' ? write : (line) => write(renderLogfmt(JSON.parse(line))) },
  )
  const at =
    (severity: keyof Log): Write =>
    (message, fields = {}) => {
      if (logger.isLevelEnabled(severity)) {
        logger[severity](takeFields(fields, level === 'debug'), message)
      }
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

// Names that the line itself uses move aside; characters that a logfmt key cannot hold are replaced.
function takeFields(fields: LogFields, withStack: boolean): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => {
      const name = key.replace(/[^\w.-]/g, '_') || '_'
      return [/^(time|level|msg)$/.test(name) ? `${name}_` : name, takeValue(value, withStack)]
    }),
  )
}

function takeValue(value: unknown, withStack: boolean): unknown {
  if (value instanceof Error) return withStack ? inspect(value) : value.message
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (['bigint', 'function', 'symbol'].includes(typeof value)) return String(value)
  return value
}

function renderLogfmt({ time, level, msg, ...fields }: Record<string, unknown>): string {
  const pairs = Object.entries({ time, level, msg, ...fields })
  return `${pairs.map(([key, value]) => `${key}=${renderValue(value)}`).join(' ')}\n`
}

// As go-logfmt: quoted where a reader could misread it, letters of any script left as they are. Anything that could
// end the line or act on a terminal is escaped.
function renderValue(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  if (text !== '' && !/[\s"=\p{C}\p{Z}\ufffd]/u.test(text)) return text
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
