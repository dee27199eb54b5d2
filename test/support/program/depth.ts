// How far the long proofs go: all the way in `npm run test:live`, most of it in CI, and a few steps in `npm test`.

/** The first number where a proof goes all the way, otherwise the second. */
export function depth(whole: number, short: number): number {
  return isDeep ? whole : short
}

/** Whether that is proved, too, which takes minutes more: by hand, and not in CI. */
export const isWhole = process.env.TEST_DEPTH === 'whole'

export const isDeep = isWhole || process.env.CI === 'true'
