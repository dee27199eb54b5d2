// What the C headers say, as test/kernel/layout.c printed it.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const PATH = fileURLToPath(new URL('../../fixtures/layout.json', import.meta.url))
export const layoutText = readFileSync(PATH, 'utf8')
const layout: Record<string, Record<string, number>> = JSON.parse(layoutText)

/** TCP states by name. */
export const states: Readonly<Record<string, number>> = layout.states ?? {}

/** The offset of a field, or the `size` of the structure. */
export function at(structure: string, field: string): number {
  const offset = layout[structure]?.[field]
  if (offset === undefined) throw new Error(`No ${structure}.${field} in layout.json`)
  return offset
}

export function constant(name: string): number {
  return at('constants', name)
}
