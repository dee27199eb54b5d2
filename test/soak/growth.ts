// Whether memory grows: a straight line through what was measured -> its slope, and whether that is more than noise.

export interface Measured {
  readonly seconds: number
  readonly residentMb: number
}

/** A young program still compiles and fills its caches. */
const WARM_UP = 0.3
/** Less than that a garbage collector gives back or not as it likes. */
const NOISE_MB = 6

export function judgeGrowth(all: readonly Measured[]): {
  readonly withinNoise: boolean
  readonly text: string
} {
  const measured = all.slice(Math.floor(all.length * WARM_UP))
  const [first, last] = [measured[0], measured.at(-1)]
  if (first === undefined || last === undefined || measured.length < 5) {
    return { withinNoise: true, text: `too few measurements (${measured.length})` }
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
  const grownMb = slope * (last.seconds - first.seconds)
  const text =
    `${meanMb.toFixed(1)} MB on average, ${grownMb.toFixed(1)} MB more over ` +
    `${Math.round(last.seconds - first.seconds)} s, deviation ${deviation.toFixed(1)} MB`
  return { withinNoise: grownMb <= Math.max(NOISE_MB, 2 * deviation), text }
}
