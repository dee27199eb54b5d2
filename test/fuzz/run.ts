// npm run fuzz -- [--seconds=300] [--seed=1] [--target=NAME] [--keep]: mutants of every target by turns. Ends with status 1
// and the inputs, in base64, where a target failed. --keep renews the corpus by what gave a new outcome.

import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type Found, readCorpus, startCampaign, targets } from './fuzzer.ts'
import { outcomeOf, type Target } from './target.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '300' },
    seed: { type: 'string', default: '1' },
    target: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
})
const TURN_MS = 1000
/** Small on purpose: a corpus that nobody can look through is not looked through. */
const MOST_KEPT = 30
const LONGEST_KEPT = 600

const chosen = targets.filter(({ name }) => values.target === undefined || name === values.target)
if (chosen.length === 0) throw new Error(`No target is called ${values.target}`)
const nowMs = () => performance.now()
const campaigns = chosen.map((target) => ({
  target,
  campaign: startCampaign(target, Number(values.seed), { nowMs }),
  mutants: 0,
  finds: new Map<string, Found>(),
}))

const endMs = nowMs() + Number(values.seconds) * 1000
while (nowMs() < endMs) {
  for (const one of campaigns) {
    const turnMs = Math.min(nowMs() + TURN_MS, endMs)
    while (nowMs() < turnMs) {
      one.mutants++
      const found = one.campaign.next()
      if (found !== undefined) one.finds.set(String(found.error), found)
    }
  }
}

for (const { target, campaign, mutants, finds } of campaigns) {
  const { size } = campaign.outcomes
  console.log(`${target.name}: ${mutants} inputs, ${size} outcomes, ${finds.size} failures`)
  for (const { input, error } of finds.values()) {
    console.log(Buffer.from(input).toString('base64'))
    console.log(error)
    process.exitCode = 1
  }
  if (values.keep) keepCorpus(target, campaign.outcomes)
}

/** What the seeds do not show is kept, the smallest first. */
function keepCorpus(target: Target, outcomes: ReadonlyMap<string, Uint8Array>): void {
  const shown = new Set(target.seeds().map((bytes) => outcomeOf(target, bytes)))
  const fresh = [...outcomes].filter(([outcome]) => !shown.has(outcome)).map(([, bytes]) => bytes)
  const kept = new Set(
    [...readCorpus(target), ...fresh.toSorted((a, b) => a.length - b.length)]
      .filter(({ length }) => length <= LONGEST_KEPT)
      .map((bytes) => Buffer.from(bytes).toString('base64')),
  )
  const lines = [...kept].slice(0, MOST_KEPT)
  writeFileSync(
    new URL(`./corpus/${target.name}.json`, import.meta.url),
    `${JSON.stringify(lines, null, 2)}\n`,
  )
}
