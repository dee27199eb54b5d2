// All families, and their division into two halves: one to develop and to train on, one to report on.

import { heldFamilies } from './families-held.ts'
import { loadFamilies } from './families-load.ts'
import { pileFamilies } from './families-pile.ts'
import type { Family } from './family.ts'
import { createRandom } from './random.ts'

export const families: readonly Family[] = [...loadFamilies, ...pileFamilies, ...heldFamilies]

/** The commit on which this bench was begun: it draws which families are held out. */
export const SPLIT_SEED = '7aab63c'

export type Half = 'development' | 'held out'

const drawn = [...families]
  .map(({ name }) => ({ name, order: createRandom(`${SPLIT_SEED} ${name}`).next() }))
  .sort((left, right) => left.order - right.order)
const heldOut = new Set(drawn.slice(0, Math.floor(drawn.length / 2)).map(({ name }) => name))

export function takeHalf({ name }: Family): Half {
  return heldOut.has(name) ? 'held out' : 'development'
}
