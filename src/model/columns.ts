// Sums over columns, of which many have a row for each port number. They are loops: the methods of typed arrays call a
// function for each of what may be thousands of rows.

/** Rows of a column by port number. */
export const PORTS = 65536

/** Adds one to an entry. */
export function increment(counts: Uint32Array, index: number): void {
  counts[index] = (counts[index] ?? 0) + 1
}

export function sumOf(column: Uint32Array): number {
  let sum = 0
  for (let index = 0; index < column.length; index++) sum += column[index] ?? 0
  return sum
}

/** The largest entry, 0 where there is none. */
export function highestOf(column: Uint32Array): number {
  let highest = 0
  for (let index = 0; index < column.length; index++) {
    const value = column[index] ?? 0
    if (value > highest) highest = value
  }
  return highest
}
