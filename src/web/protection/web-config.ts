// A web configuration file of the exporter-toolkit: text -> what guards the web server, or every problem at once. Pure.
// https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md

import { validateHeaderValue } from 'node:http'
import { quote } from '../../config/problem.ts'
import { parseYamlTree, type Tree } from '../../config/yaml-tree.ts'
import { parseGoDurationMs, parseYamlInteger } from './go-values.ts'
import type { RateLimit } from './rate-limit.ts'
import { costOf, HIGHEST_COMPARED_COST, HIGHEST_USUAL_COST, NEVER_COMPARED } from './slow-hashes.ts'
import { isEmpty, list, readFields, readSwitch, readText } from './web-config-fields.ts'
import { readTlsSettings, type TlsSettings } from './web-config-tls.ts'

export interface WebConfig {
  /** Undefined for plain HTTP. */
  readonly tls: TlsSettings | undefined
  /** bcrypt hashes by name; nobody is asked where there are none. */
  readonly users: ReadonlyMap<string, string>
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly rateLimit: RateLimit | undefined
  /** What the user should know and may have meant otherwise; sentences without a full stop. */
  readonly notes: readonly string[]
}

export type Outcome<T> = T | { readonly problems: readonly string[] }

/** The headers that the exporter-toolkit lets its users set, and the values where only some make sense. */
const headerValues: ReadonlyMap<string, readonly string[]> = new Map([
  ['Content-Security-Policy', []],
  ['X-Frame-Options', ['deny', 'sameorigin']],
  ['X-Content-Type-Options', ['nosniff']],
  ['X-XSS-Protection', []],
  ['Strict-Transport-Security', []],
])

/** bcrypt is defined for costs from 4 to 31. */
const BCRYPT = /^\$2[aby]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}$/
/** What of a hash is compared: bcrypt of golang.org/x/crypto ignores what follows, as a newline. */
const HASH_LENGTH = 60
/**
 * What the exporter-toolkit starts with, besides. A character too few equals no hash. `$2$` and `$2x$` are of broken
 * versions: the toolkit compares them, and here nobody has their password.
 */
const INCOMPARABLE = /^(?=.{59})\$2.?\$(?:0[4-9]|[12][0-9]|3[01])\$/s

/** Relative paths in the file are relative to `path`, which is also for the words of problems. */
export function parseWebConfig(
  text: string,
  path: string,
): Outcome<{ readonly config: WebConfig }> {
  const parsed = parseYamlTree(text, path)
  if ('problems' in parsed) return parsed
  const problems: string[] = []
  const notes: string[] = []
  const field = readFields(
    parsed.tree,
    { keys: ['tls_server_config', 'http_server_config', 'basic_auth_users', 'rate_limit'] },
    problems,
  )
  const treeOf = (key: Parameters<typeof field>[0]): Tree =>
    field(key)?.value ?? { kind: 'text', text: '', where: path }

  const tls = readTlsSettings(treeOf('tls_server_config'), path, problems, notes)
  const headers = readHttpConfig(treeOf('http_server_config'), problems, notes)
  const users = readUsers(treeOf('basic_auth_users'), problems, notes)
  const rateLimit = readRateLimit(treeOf('rate_limit'), problems, notes)
  if (problems.length > 0) return { problems }

  if (users.size > 0 && tls === undefined) {
    notes.push('Passwords are sent in the clear: basic_auth_users is set without tls_server_config')
  }
  if (
    tls !== undefined &&
    !['NoClientCert', 'RequireAndVerifyClientCert'].includes(tls.clientAuth)
  ) {
    notes.push(
      `client_auth_type ${tls.clientAuth} keeps nobody out, only RequireAndVerifyClientCert does`,
    )
  }
  return { config: { tls, users, headers, rateLimit, notes } }
}

function readHttpConfig(tree: Tree, problems: string[], notes: string[]): WebConfig['headers'] {
  const field = readFields(
    tree,
    { group: 'http_server_config', keys: ['http2', 'headers'] },
    problems,
  )
  if (readSwitch(field('http2'), problems)) {
    notes.push('HTTP/2 is not offered, clients get HTTP/1.1: http2 is true and has no effect')
  }
  const names = [...headerValues.keys()]
  const headers = field('headers')
  if (headers === undefined) return []
  const header = readFields(headers.value, { group: 'headers', keys: names }, problems)
  return names.flatMap((name) => {
    const given = header(name)
    const allowed = headerValues.get(name) ?? []
    const value = readText(given, allowed.length > 0 ? list(allowed) : 'text', problems)
    if (value === undefined) return []
    if (allowed.length > 0 ? allowed.includes(value) : isHeaderValue(name, value)) {
      return [[name, value] as const]
    }
    const expected = allowed.length > 0 ? list(allowed) : 'one line of printable text'
    problems.push(`Cannot use ${quote(value)} for ${name} (${given?.where}): expected ${expected}`)
    return []
  })
}

function isHeaderValue(name: string, value: string): boolean {
  try {
    validateHeaderValue(name, value)
    return true
  } catch {
    return false
  }
}

function readUsers(tree: Tree, problems: string[], notes: string[]): ReadonlyMap<string, string> {
  const users = new Map<string, string>()
  if (tree.kind !== 'map') {
    if (!isEmpty(tree)) {
      problems.push(
        `Cannot use basic_auth_users (${tree.where}): expected users as "name: bcrypt hash"`,
      )
    }
    return users
  }
  for (const { name, where, value } of tree.fields) {
    const text = value.kind === 'text' ? value.text : ''
    const hash = text.slice(0, HASH_LENGTH)
    if (name === '') {
      problems.push(`Cannot use a name in basic_auth_users (${where}): it is empty`)
    } else if (!BCRYPT.test(hash) && !INCOMPARABLE.test(hash)) {
      // NB: what was given may be the password itself, and is repeated nowhere.
      problems.push(
        `Cannot use the password of ${quote(name)} (${where}): expected a bcrypt hash ($2a$, $2b$ or $2y$) of a cost from 4 to 31, as "htpasswd -nBC 10 NAME" makes it`,
      )
    } else {
      users.set(name, BCRYPT.test(hash) ? hash : NEVER_COMPARED)
      notes.push(...noteUser(name, hash))
    }
  }
  return users
}

/** The file serves other programs too, so that what cannot let one of its users in is no reason to refuse it. */
function noteUser(name: string, hash: string): readonly string[] {
  const user = quote(name)
  if (name.includes(':')) return [`The user ${user} is not let in: the name has a colon`]
  if (!BCRYPT.test(hash)) {
    return [`The user ${user} is not let in: the hash is not one that bcrypt makes today`]
  }
  const cost = costOf(hash)
  if (cost <= HIGHEST_USUAL_COST) return []
  const costly = `The bcrypt hash of ${user} has a cost of ${cost}`
  return cost <= HIGHEST_COMPARED_COST
    ? [`${costly}: comparing it takes longer than a scraper waits, until it has succeeded once`]
    : [`${costly}: it is never compared, and the user is not let in`]
}

function readRateLimit(tree: Tree, problems: string[], notes: string[]): RateLimit | undefined {
  const field = readFields(tree, { group: 'rate_limit', keys: ['interval', 'burst'] }, problems)
  const [interval, burst] = [field('interval'), field('burst')]
  const durations = 'a duration like 500ms, 1s or 1m30s, or 0 for no limit'
  const numbers = 'a whole number from 1 on'
  const intervalText = readText(interval, durations, problems)
  const burstText = readText(burst, numbers, problems)
  const requests = burstText === undefined ? undefined : parseYamlInteger(burstText)
  if (burstText !== undefined && !Number.isSafeInteger(requests)) {
    problems.push(`Cannot use ${quote(burstText)} for burst (${burst?.where}): expected ${numbers}`)
    return undefined
  }
  if (intervalText === undefined) {
    if (requests) notes.push('There is no rate limit: rate_limit has a burst and no interval')
    return undefined
  }
  const intervalMs = parseGoDurationMs(intervalText)
  if (intervalMs === undefined || !Number.isFinite(intervalMs)) {
    problems.push(
      `Cannot use ${quote(intervalText)} for interval (${interval?.where}): expected ${durations}`,
    )
    return undefined
  }
  if (intervalMs <= 0) {
    if (intervalMs < 0) notes.push('There is no rate limit: the interval of rate_limit is negative')
    return undefined
  }
  if (requests === undefined || requests < 1) {
    problems.push(
      requests === undefined
        ? `Missing burst in rate_limit (${tree.where}): without it no request would pass`
        : `Cannot use ${quote(burstText ?? '')} for burst (${burst?.where}): expected ${numbers}`,
    )
    return undefined
  }
  if (parseYamlInteger(intervalText) !== undefined) {
    notes.push(
      `The interval of rate_limit is ${intervalMs / 1000} s: a number without a unit is nanoseconds`,
    )
  }
  return { intervalMs, burst: requests }
}
