// Users whose bcrypt hash is so costly that a comparison outlasts a scrape: they wait for each other and delay nobody
// else.

import { type Attempt, parseBasic, type Verdict } from './credentials.ts'

type Check = (attempt: Attempt) => Verdict | Promise<Verdict>

/** Above this cost one comparison takes longer than a scraper waits. */
export const HIGHEST_USUAL_COST = 14
/** Above this cost it takes minutes to years of a core, which anybody could ask for who knows the name. */
export const HIGHEST_COMPARED_COST = 20
/** Stands for a hash of which nobody can have the password. */
export const NEVER_COMPARED = `$2y$31$${'.'.repeat(53)}`

/** Guessing takes a quarter of a core at most, and nobody with a usual hash waits for one that takes long. */
export const shares = { usual: 0.2, slow: 0.05 } as const

/** The cost of a bcrypt hash, from 4 to 31: the number of rounds is two to that power. */
export function costOf(hash: string): number {
  return Number(hash.slice(4, 6))
}

/** `usual` and `slow` have a thread each. An unknown name is refused by the usual one, where there are usual hashes. */
export function createCheckByCost({
  usual,
  slow,
}: {
  readonly usual: Check
  readonly slow: Check
}): Check {
  return (attempt) => {
    const hash = attempt.users.get(parseBasic(attempt.authorization)?.name ?? '')
    const usualUsers = upTo(attempt.users, HIGHEST_USUAL_COST)
    const isUsual = hash === undefined ? usualUsers.size > 0 : costOf(hash) <= HIGHEST_USUAL_COST
    if (isUsual) return usual({ ...attempt, users: usualUsers })
    const compared = upTo(attempt.users, HIGHEST_COMPARED_COST)
    const isCompared = hash === undefined || costOf(hash) <= HIGHEST_COMPARED_COST
    return isCompared && compared.size > 0 ? slow({ ...attempt, users: compared }) : 'refused'
  }
}

function upTo(users: Attempt['users'], cost: number): Attempt['users'] {
  return new Map([...users].filter(([, hash]) => costOf(hash) <= cost))
}
