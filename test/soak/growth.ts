// Whether memory grows: a straight line through what was measured -> its slope, and whether that is more than noise.

export interface Measured {
  readonly seconds: number
  readonly residentMb: number
}

/** A young program still compiles and fills its caches, at four samples a second for so long on Node 24. */
const YOUTH_SECONDS = 150
/** Less than that a garbage collector gives back or not as it likes. */
const NOISE_MB = 6
/** Of fewer a slope is as much guessed as seen. */
const LEAST_MEASUREMENTS = 20

export interface Growth {
  readonly verdict: 'within noise' | 'grows' | 'not known'
  readonly text: string
}

export function judgeGrowth(all: readonly Measured[]): Growth {
  const adultSeconds = (all[0]?.seconds ?? 0) + YOUTH_SECONDS
  const measured = all.filter(({ seconds }) => seconds >= adultSeconds)
  const [first, last] = [measured[0], measured.at(-1)]
  if (first === undefined || last === undefined || measured.length < LEAST_MEASUREMENTS) {
    const text = `${measured.length} measurements after its youth, ${LEAST_MEASUREMENTS} are needed`
    return { verdict: 'not known', text }
  }
  const mean = (numbers: readonly number[]) =>
    numbers.reduce((sum, number) => sum + number, 0) / numbers.length
  const meanSeconds = mean(measured.map(({ seconds }) => seconds))
  const meanMb = mean(measured.map(({ residentMb }) => residentMb))
  const spread = mean(measured.map(({ seconds }) => (seconds - meanSeconds) ** 2))
  const slope =
    mean(measured.map((one) => (one.seconds - meanSeconds) * (one.residentMb - meanMb))) / spread
  const residues = measured.map(
    (one) => one.residentMb - meanMb - slope * (one.seconds - meanSeconds),
  )
  const deviation = Math.sqrt(mean(residues.map((residue) => residue ** 2)))
  const span = last.seconds - first.seconds
  const grownMb = slope * span
  const errorMb = (deviation / Math.sqrt(measured.length * spread)) * span
  const text =
    `${meanMb.toFixed(1)} MB on average, ${grownMb.toFixed(1)} MB more over ` +
    `${Math.round(span)} s, standard error ${errorMb.toFixed(1)} MB, deviation ${deviation.toFixed(1)} MB`
  return { verdict: grownMb <= Math.max(NOISE_MB, 2 * errorMb) ? 'within noise' : 'grows', text }
}
