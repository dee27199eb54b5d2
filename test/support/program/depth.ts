// How far the long proofs go: all the way in `npm run test:live` and in CI, a few steps in `npm test`.

/** The first number where a proof goes all the way, otherwise the second. */
export function depth(whole: number, short: number): number {
  return isDeep ? whole : short
}

export const isDeep = process.env.TEST_DEPTH === 'whole' || process.env.CI === 'true'
