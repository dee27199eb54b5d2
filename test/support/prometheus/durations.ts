// Durations as Prometheus writes them.

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** Gives 30 for "30s" and 270 for "4m30s". Throws for what is no duration. */
export function secondsOf(duration: string): number {
  if (!/^(\d+[smhd])+$/.test(duration)) {
    throw new Error(`Cannot read the duration ${JSON.stringify(duration)}`)
  }
  return [...duration.matchAll(/(\d+)([smhd])/g)].reduce(
    (sum, [, count, unit = '']) => sum + Number(count) * (SECONDS[unit] ?? Number.NaN),
    0,
  )
}
