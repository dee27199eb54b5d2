// Membership of a top N that does not come and go with the noise at the edge.

/** After which a member is one no more. */
const SAMPLES_OUTSIDE = 3

/** Something with a row. */
export interface Sticky {
  /** Samples in a row that found it outside. */
  readonly outside: number
}

/** The members that stay: those inside now, and those that were outside for less than three samples. */
export function keepMembers<M extends Sticky>(
  members: readonly M[],
  isInside: (member: M) => boolean,
): readonly M[] {
  return members
    .map((member) => ({ ...member, outside: isInside(member) ? 0 : member.outside + 1 }))
    .filter(({ outside }) => outside < SAMPLES_OUTSIDE)
}
