// Durations as Prometheus writes them.

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** Such as "90", "30s" or "4m30s"; throws for what is none. */
export function secondsOf(duration: string | number): number {
  if (!/^(\d+[smhd]?)+$/.test(`${duration}`)) throw new Error(`${duration} is no duration`)
  return [...`${duration}`.matchAll(/(\d+)([smhd]?)/g)].reduce(
    (sum, [, count, unit = '']) => sum + Number(count) * (SECONDS[unit] ?? 1),
    0,
  )
}
