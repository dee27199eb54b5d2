// Basic authentication (RFC 7617): Authorization header and users -> whether to let in. A comparison with a bcrypt hash
// costs a tenth of a second of CPU on purpose, so each outcome is remembered, few comparisons wait, and wrong guesses
// slow down the next comparison.

import { createHmac, randomBytes } from 'node:crypto'

export type Verdict =
  | 'admitted'
  | 'refused'
  /** Too many comparisons wait already; ask again later. */
  | 'busy'

export interface Attempt {
  readonly authorization: string | undefined
  /** bcrypt hashes by name; not empty. */
  readonly users: ReadonlyMap<string, string>
  /** The address it comes from. */
  readonly client: string
}

export interface CredentialOptions {
  /** Compares a password with a bcrypt hash, off this thread. */
  readonly matches: (password: string, hash: string) => Promise<boolean>
  /** How much of a core wrong passwords may take: a rest follows each. */
  readonly share: number
  readonly nowMs?: () => number
  readonly sleep?: (ms: number) => Promise<void>
}

/** Outcomes kept, of either kind: many times the users that the format is meant for. */
const REMEMBERED = 100
/** Questions that may wait. The last is answered before a scraper gives up, with hashes of cost 10. */
const MOST_WAITING = 16
const MOST_WAITING_OF_CLIENT = 4

interface Question {
  readonly client: string
  readonly verdict: Promise<Verdict>
  crowdedOut: boolean
}

/** An answer that is known is given at once, without a promise. */
export function createCredentialCheck({
  matches,
  share,
  nowMs = () => performance.now(),
  sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
}: CredentialOptions): (attempt: Attempt) => Verdict | Promise<Verdict> {
  const secret = randomBytes(32)
  const admitted = createMemory()
  const refused = createMemory()
  /** The first is being compared. */
  const underWay = new Map<string, Question>()
  let turn: Promise<unknown> = Promise.resolve()
  let restUntilMs = 0

  return ({ authorization, users, client }) => {
    const given = parseBasic(authorization)
    if (given === undefined) return 'refused'
    // An unknown name is compared like a known one, and with a hash of the same costs, so that time does not tell the
    // two apart.
    const decoy = pick([...users.values()], given.name)
    const hash = users.get(given.name)
    // NB: the key of the memory is a keyed digest. How long finding it takes says nothing about the password, and no
    // combination of name and password can be mistaken for another.
    const key = digest([hash !== undefined, given.name, hash ?? decoy, given.password])
    if (admitted.has(key)) return 'admitted'
    if (refused.has(key)) return 'refused'
    const same = underWay.get(key)
    if (same !== undefined) return same.verdict

    if (!findPlace(client)) return 'busy'
    const question: Question = {
      client,
      crowdedOut: false,
      verdict: turn.then(async () => {
        if (question.crowdedOut) return 'busy'
        const equal = await compare(given.password, hash ?? decoy)
        const verdict = equal && hash !== undefined ? 'admitted' : 'refused'
        const memory = verdict === 'admitted' ? admitted : refused
        memory.add(key)
        return verdict
      }),
    }
    underWay.set(key, question)
    turn = question.verdict
      .catch(() => {})
      .then(() => {
        if (underWay.get(key) === question) underWay.delete(key)
      })
    return question.verdict
  }

  /** Where no place is free, a client that has none gets the one of the last question of a client that has several. */
  function findPlace(client: string): boolean {
    const counts = new Map<string, number>()
    for (const other of underWay.values()) {
      counts.set(other.client, (counts.get(other.client) ?? 0) + 1)
    }
    const own = counts.get(client) ?? 0
    if (underWay.size < MOST_WAITING) return own < MOST_WAITING_OF_CLIENT
    const most = Math.max(...counts.values())
    const last = [...underWay].findLast(([, other]) => counts.get(other.client) === most)
    if (own > 0 || most === 1 || last === undefined) return false
    last[1].crowdedOut = true
    underWay.delete(last[0])
    return true
  }

  async function compare(password: string, hash: string): Promise<boolean> {
    const restMs = restUntilMs - nowMs()
    if (restMs > 0) await sleep(restMs)
    const startMs = nowMs()
    const equal = await matches(password, hash)
    if (!equal) restUntilMs = nowMs() + (1 / share - 1) * (nowMs() - startMs)
    return equal
  }

  function digest(parts: readonly unknown[]): string {
    return createHmac('sha256', secret).update(JSON.stringify(parts)).digest('base64')
  }

  /** Always the same for a name, as with a real user. */
  function pick(hashes: readonly string[], name: string): string {
    const number = createHmac('sha256', secret).update(name).digest().readUInt32LE()
    return hashes[number % hashes.length] ?? ''
  }
}

export function parseBasic(
  authorization: string | undefined,
): { readonly name: string; readonly password: string } | undefined {
  const [, base64] = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(authorization ?? '') ?? []
  if (base64 === undefined) return undefined
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      Buffer.from(base64, 'base64'),
    )
    const colon = text.indexOf(':')
    if (colon < 0) return undefined
    return { name: text.slice(0, colon), password: text.slice(colon + 1) }
  } catch {
    return undefined
  }
}

/** Forgets the one that was asked for least recently. */
function createMemory() {
  const keys = new Set<string>()
  const add = (key: string) => {
    keys.delete(key)
    keys.add(key)
    const [oldest] = keys
    if (keys.size > REMEMBERED && oldest !== undefined) keys.delete(oldest)
  }
  return {
    add,
    has(key: string): boolean {
      const known = keys.has(key)
      if (known) add(key)
      return known
    },
  }
}
