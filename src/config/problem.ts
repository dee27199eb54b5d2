// Words for problems: quoting what was given, guessing what was meant. Pure.

/** Quoted and cut, with no control character left that could act on a terminal. */
export function quote(text: string): string {
  const cut = text.length > 60 ? `${text.slice(0, 57)}...` : text
  return JSON.stringify(cut).replace(
    /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** ": did you mean --top?", or the other ending where nothing is near enough. */
export function suggest(
  given: string,
  names: readonly string[],
  { render = (name: string) => name, otherwise = 'see --help for what exists' } = {},
): string {
  const near = nearest(given, names)
  return near === undefined ? `: ${otherwise}` : `: did you mean ${render(near)}?`
}

/** The name that was probably meant: one that ends in the given word, else the one with the fewest typing errors. */
export function nearest(given: string, names: readonly string[]): string | undefined {
  const plain = normalize(given)
  const limit = Math.max(1, Math.min(4, Math.floor(plain.length / 3)))
  let best: string | undefined
  let bestErrors = limit + 1
  for (const name of names) {
    const candidate = normalize(name)
    const errors = candidate.endsWith(`-${plain}`)
      ? 0.5
      : countTypingErrors(plain, candidate, limit)
    if (errors < bestErrors) [best, bestErrors] = [name, errors]
  }
  return best
}

// A dot, a dash and an underscore are the same mistake, and so is a wrong case.
function normalize(name: string): string {
  return name.toLowerCase().replace(/[._]/g, '-')
}

// Insertions, deletions, replacements and swapped neighbours (optimal string alignment); above `limit` any number
// above it will do.
function countTypingErrors(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      let errors = Math.min(at(last, j) + 1, at(row, j - 1) + 1, replaced)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        errors = Math.min(errors, at(beforeLast, j - 2) + 1)
      }
      row.push(errors)
    }
    beforeLast = last
    last = row
  }
  return at(last, b.length)
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY
}
