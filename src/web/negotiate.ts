// Content negotiation (RFC 9110, 12.5): request header -> what to answer with. Never refuses: what cannot be understood
// does not count, and then the page is text 0.0.4, uncompressed.

import type { Format } from '../metrics/render.ts'

const OPENMETRICS = 'application/openmetrics-text'

/** One element of Accept or Accept-Encoding, in lower case. */
interface Preference {
  readonly value: string
  readonly version: string | undefined
  readonly quality: number
}

/** Quality, then how closely the client described what it wants. */
type Rank = readonly [quality: number, specificity: number]

const UNWANTED: Rank = [0, 0]

/**
 * OpenMetrics only for clients that name it and want it more than text: with a higher q, or at the same q by version.
 * The parameter `escaping` of Prometheus 3 makes no difference, since all our names are in the legacy character set.
 */
export function negotiateFormat(acceptHeader: string | undefined): Format {
  const preferences = parsePreferences(acceptHeader ?? '')
  const text = rank(preferences, [
    ({ value, version }) => value === 'text/plain' && version === '0.0.4',
    ({ value, version }) => value === 'text/plain' && version === undefined,
    ({ value }) => value === 'text/*',
    ({ value }) => value === '*/*',
  ])
  const openmetrics = rank(preferences, [
    ({ value, version }) => value === OPENMETRICS && version === '1.0.0',
    ({ value, version }) => value === OPENMETRICS && version === undefined,
    ({ value, version }) => value === OPENMETRICS && version === '0.0.1',
  ])
  const wins = openmetrics[0] > text[0] || (openmetrics[0] === text[0] && openmetrics[1] > text[1])
  return wins && openmetrics[0] > 0 ? 'openmetrics' : 'text'
}

/** Whether the client names HTML, as browsers do and curl does not. */
export function acceptsHtml(acceptHeader: string | undefined): boolean {
  return parsePreferences(acceptHeader ?? '').some(
    ({ value, quality }) => quality > 0 && ['text/html', 'application/xhtml+xml'].includes(value),
  )
}

/** Whether gzip is accepted, and not less than no compression at all. */
export function acceptsGzip(acceptEncodingHeader: string | undefined): boolean {
  const preferences = parsePreferences(acceptEncodingHeader ?? '')
  const find = (wanted: string) => preferences.find(({ value }) => value === wanted)?.quality
  const quality = find('gzip') ?? find('x-gzip') ?? find('*') ?? 0
  return quality > 0 && quality >= (find('identity') ?? 0)
}

// The most specific description that the client gave decides, even where a vaguer one has a higher q.
function rank(
  preferences: readonly Preference[],
  descriptions: readonly ((preference: Preference) => boolean)[],
): Rank {
  for (const describes of descriptions) {
    const [found] = preferences.filter(describes).sort((a, b) => b.quality - a.quality)
    if (found !== undefined) return [found.quality, specificity(found)]
  }
  return UNWANTED
}

function specificity({ value, version }: Preference): number {
  if (value.includes('*')) return 0
  return version === undefined ? 1 : 2
}

function parsePreferences(header: string): readonly Preference[] {
  return header
    .toLowerCase()
    .split(',')
    .map(parsePreference)
    .filter((one) => one !== undefined)
}

// `type/subtype;version=1.0.0;q=0.5`, blanks and quotes allowed; undefined where q is no number from 0 to 1.
function parsePreference(text: string): Preference | undefined {
  const [value = '', ...parameters] = text.split(';').map((part) => part.trim())
  let version: string | undefined
  let quality = 1
  for (const parameter of parameters) {
    const [name, argument = ''] = parameter.split('=', 2).map((part) => part.trim())
    if (name === 'version') version = argument.replace(/^"(.*)"$/, '$1')
    if (name !== 'q') continue
    if (!/^(0(\.\d*)?|1(\.0*)?)$/.test(argument)) return undefined
    quality = Number(argument)
  }
  return value === '' ? undefined : { value, version, quality }
}
