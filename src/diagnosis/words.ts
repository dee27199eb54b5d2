// Numbers in words, the same on the page, on the terminal and in JSON. Pure; `-` says "not known".

/** Near both ends the rounded text never claims the end itself: 100.0% is full, 0.0% is empty. */
export function renderPercent(ratio: number | undefined): string {
  if (ratio === undefined) return '-'
  return `${renderBetween(ratio * 100, { top: 100, digits: 1 })}%`
}

/** A probability with two digits; 1.00 and 0.00 are said of certainty only. */
export function renderRisk(ratio: number | undefined): string {
  return ratio === undefined ? '-' : renderBetween(ratio, { top: 1, digits: 2 })
}

function renderBetween(value: number, { top, digits }: { top: number; digits: number }): string {
  const step = 10 ** -digits
  const inner = Math.min(Math.max(value, step), top - step)
  return (value <= 0 || value >= top ? value : inner).toFixed(digits)
}

const units = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
] as const

/** The two largest units: 1d2h, 3m20s, 45s. */
export function renderDuration(seconds: number | undefined): string {
  if (seconds === undefined) return '-'
  let rest = Math.round(seconds)
  const parts: string[] = []
  for (const [name, size] of units) {
    const count = Math.floor(rest / size)
    if (count > 0) parts.push(`${count}${name}`)
    rest -= count * size
  }
  return parts.slice(0, 2).join('') || '0s'
}

/** `1 port`, `28,232 ports`. */
export function renderCount(count: number, one: string, many = `${one}s`): string {
  return `${renderNumber(count)} ${count === 1 ? one : many}`
}

/** Renders a count with a comma before every three digits. toLocaleString() would load ICU. */
export function renderNumber(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** A rate with as many digits as tell something: 0.4, 6.7, 120. */
export function renderRate(perSecond: number): string {
  return perSecond >= 10 ? renderNumber(Math.round(perSecond)) : perSecond.toFixed(1)
}

/** Names come from other programs: no character of theirs may act on the terminal, or turn the text around. */
export function renderVisible(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?')
}

/** `a, b and 3 more`. */
export function renderList(names: readonly string[], most: number): string {
  const shown = names.slice(0, most).join(', ')
  return names.length > most ? `${shown} and ${names.length - most} more` : shown
}
