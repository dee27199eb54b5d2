// The loop: mutants of seeds and of what gave a new outcome, one target after another, until time or number is over.

import { readFileSync } from 'node:fs'
import { answerTargets } from './answer-targets.ts'
import { kernelTargets } from './kernel-targets.ts'
import { createRandom, mutate, type Random } from './mutate.ts'
import { outcomeOf, type Target } from './target.ts'
import { textTargets } from './text-targets.ts'

export const targets: readonly Target[] = [...kernelTargets, ...textTargets, ...answerTargets]

/** In base64, what earlier runs found worth keeping: each gives another outcome, or was a bug once. */
export function readCorpus(target: Target): readonly Uint8Array[] {
  const text = readFileSync(new URL(`./corpus/${target.name}.json`, import.meta.url), 'utf8')
  const entries: readonly string[] = JSON.parse(text)
  return entries.map((entry) => new Uint8Array(Buffer.from(entry, 'base64')))
}

export interface Found {
  readonly target: string
  readonly input: Uint8Array
  readonly error: unknown
}

export interface Campaign {
  /** Reads one mutant; returns what went wrong with it. */
  next(): Found | undefined
  /** One input for each outcome so far, the seeds' included. */
  readonly outcomes: ReadonlyMap<string, Uint8Array>
}

/** Far longer than any input of 64 KiB takes: whoever is slower can be kept busy by what it reads. */
const SLOWEST_MS = 2000

export function startCampaign(
  target: Target,
  seed: number,
  { nowMs = () => 0 }: { readonly nowMs?: () => number } = {},
): Campaign {
  const random: Random = createRandom(seed)
  const queue = [...target.seeds(), ...readCorpus(target)]
  const outcomes = new Map<string, Uint8Array>()
  let replayed = 0

  function attempt(input: Uint8Array): Found | undefined {
    const startMs = nowMs()
    try {
      const outcome = outcomeOf(target, input)
      if (!outcomes.has(outcome)) {
        outcomes.set(outcome, input)
        if (replayed === queue.length) {
          queue.push(input)
          replayed++
        }
      }
    } catch (error) {
      return { target: target.name, input, error }
    }
    const tookMs = nowMs() - startMs
    if (tookMs < SLOWEST_MS) return undefined
    return { target: target.name, input, error: new Error(`It took ${Math.round(tookMs)} ms`) }
  }

  const pick = () => queue[random.below(queue.length)] ?? new Uint8Array()
  return {
    outcomes,
    next() {
      const known = queue[replayed]
      if (known === undefined) return attempt(mutate(pick(), pick(), random))
      replayed++
      return attempt(known)
    },
  }
}
