// Whether pages are true: each is held against what was so around the time of its read, and one of a calm moment against
// exactly what is so. What a page does not say cannot be false.

import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Page } from '../support/netns/actor-page.ts'
import { readClaims, type Stage } from './stage.ts'

type Read = () => Promise<Page | undefined>
type Truth = ReadonlyMap<string, number>

const LAST_READ = 'ephemeral_port_netns_last_read_timestamp_seconds'
const SCRAPE_MS = 200
/** A read of a stage takes milliseconds; on a busy machine it may be interrupted for long. */
const READ_SECONDS = 2
/** What one action opens, and TIME_WAITs that end meanwhile. */
const SLACK = 60
const CALM_MS = 30_000
const KEPT = 400
const MOST_PROBLEMS = 20
const HOUR_SECONDS = 3600

/** When the page says a namespace was read last, by our clock: that of the program may be ahead or behind by whole hours. */
function readAtOf(page: Page, netns: string): number | undefined {
  const readAt = page.find(LAST_READ, { netns })
  if (readAt === undefined) return undefined
  const hoursAhead = Math.round((readAt - Date.now() / 1000) / HOUR_SECONDS)
  return readAt - hoursAhead * HOUR_SECONDS
}

export function createWatch(stages: readonly Stage[]) {
  const records = new Map<Stage, { readonly seconds: number; readonly truth: Truth }[]>()
  const problems: string[] = []
  const counts = { pages: 0, absent: 0 }

  async function note(stage: Stage): Promise<void> {
    const known = records.get(stage) ?? []
    records.set(stage, known)
    known.push({ seconds: Date.now() / 1000, truth: await stage.truth() })
    if (known.length > KEPT) known.shift()
  }

  function judge(page: Page, stage: Stage): void {
    const claims = readClaims(page, stage.netns)
    const readAt = readAtOf(page, stage.netns)
    if (claims.size === 0 || readAt === undefined) {
      counts.absent++
      return
    }
    const known = records.get(stage) ?? []
    const from = known.findLastIndex(({ seconds }) => seconds < readAt - READ_SECONDS)
    const to = known.findIndex(({ seconds }) => seconds > readAt + READ_SECONDS)
    const around = known.slice(Math.max(0, from), to === -1 ? undefined : to + 1)
    if (around.length === 0) return
    for (const [pool, claim] of claims) {
      const truths = around.map(({ truth }) => truth.get(pool) ?? Number.NaN)
      const [least, most] = [Math.min(...truths) - SLACK, Math.max(...truths) + SLACK]
      if ((claim < least || claim > most) && problems.length < MOST_PROBLEMS) {
        problems.push(`${stage.netns}: ${pool} has ${claim} available, not ${least} to ${most}`)
      }
    }
  }

  return {
    problems,
    counts,
    /** What was so before and after an action, and so in between. */
    async record(stage: Stage, act: () => Promise<void>): Promise<void> {
      await note(stage)
      await act()
      await note(stage)
    },
    async scrape(read: Read, isOver: () => boolean): Promise<void> {
      while (!isOver()) {
        const page = await read()
        if (page !== undefined) {
          counts.pages++
          for (const stage of stages) judge(page, stage)
        }
        await delay(SCRAPE_MS)
      }
    },
  }
}

/**
 * Holds the page of a moment at which nothing came or went against what is so. `late`: there was none for a long time, as
 * on a machine that is too busy; that is not false.
 */
export async function checkExactly(
  stage: Stage,
  read: Read,
): Promise<'exact' | 'late' | { readonly problem: string }> {
  const deadline = Date.now() + CALM_MS
  while (Date.now() < deadline) {
    const before = await stage.truth()
    const page = await readFresh(stage, read, deadline)
    const claims = page && readClaims(page, stage.netns)
    const after = await stage.truth()
    if (claims === undefined || !isDeepStrictEqual([...before], [...after])) continue
    const wrong = [...claims].filter(([pool, claim]) => claim !== after.get(pool))
    if (claims.size === after.size && wrong.length === 0) return 'exact'
    // A false number is wrong at once; an absent one may still come.
    if (wrong.length > 0) {
      const said = JSON.stringify({ said: [...claims], true: [...after] })
      return { problem: `${stage.netns}: ${said}` }
    }
  }
  return 'late'
}

/** The timestamp is that of the end of a read: only the read after the next is sure to begin after now. */
async function readFresh(stage: Stage, read: Read, deadline: number): Promise<Page | undefined> {
  let seen = Date.now() / 1000
  for (let reads = 0; reads < 2; ) {
    const page = await read()
    const readAt = (page && readAtOf(page, stage.netns)) ?? 0
    if (readAt > seen) {
      seen = readAt
      if (++reads === 2) return page
    }
    if (Date.now() > deadline) return undefined
    await delay(20)
  }
  return undefined
}
