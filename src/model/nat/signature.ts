// Why NAT drops packets, by counters alone: growth of the counters from sample to sample -> whether each drop comes
// with the same number of taken ports, as it does where a range is full (docs/development/nat-model.md#counters).

import type { DropSignature } from '../../snapshot.ts'

/** Totals of one namespace. */
export interface DropCounts {
  /** Taken ports that searches met. */
  readonly collisions: number
  readonly insertFailed: number
  readonly dropped: number
}

/** Sums over the last cells of time, in which older cells weigh less. */
interface Sums {
  readonly cells: number
  /** Cells with drops. */
  readonly dropping: number
  readonly drops: number
  readonly met: number
  /** Taken ports met in cells with drops. */
  readonly metBeside: number
  readonly dropsSquared: number
  readonly metSquared: number
  readonly product: number
}

export interface SignatureState {
  /** What was counted, and when, at the end of the last cell. */
  readonly counts: DropCounts
  readonly atSeconds: number
  readonly sums: Sums
  /** Cells since the last one with drops, and when that ended. */
  readonly quietCells: number
  readonly droppedAtSeconds: number
  /** Taken ports for each drop, while a range is full. */
  readonly metByDrop: number | undefined
  readonly signature: DropSignature | undefined
}

/** A cell ends with the first sample after that time. */
const CELL_SECONDS = 0.95
/** What a cell weighs when the next one ends: it counts for about 60 cells. */
const DECAY = 1 - 1 / 60
/** Nothing is said of drops after so many cells without any, or after some in so long a time. */
const QUIET_CELLS = { most: 24, least: 2 } as const
const QUIET_SECONDS = 120
/** A signature is believed with so many cells with drops, and doubted with fewer than the second number. */
const DROPPING_CELLS = { begins: 20, ends: 5 } as const
/**
 * ... and no fewer count where some have far more drops than others: one burst of races draws the line through itself.
 */
const LEAST_EVEN_CELLS = 8
/** Fewer taken ports for each drop may come of a race, whose loser tries again and finds its own port taken. */
const LEAST_MET = 4
/**
 * A search meets at most 248 ports, and where half of the searches fail each failed one has a successful one beside it.
 */
const MOST_MET = 2 * 248
/**
 * Squared distance of the taken ports from their line, for each drop and in squares of the slope, with which a
 * signature begins, and with more of which it ends. It is 1 or more where drops come by chance and have nothing to do
 * with taken ports.
 */
const DISTANCE = { begins: 1 / 8, ends: 1 / 3 } as const
/** The line is known where drops differ from cell to cell by this share of what chance does. */
const LEAST_SPREAD = 1 / 8

const NOTHING: Sums = {
  cells: 0,
  dropping: 0,
  drops: 0,
  met: 0,
  metBeside: 0,
  dropsSquared: 0,
  metSquared: 0,
  product: 0,
}

/** Advances to the counts of a sample. Begins anew where a counter has done so. `before` is undefined at first. */
export function advanceSignature(
  before: SignatureState | undefined,
  counts: DropCounts,
  atSeconds: number,
): SignatureState {
  if (before === undefined || isLess(counts, before.counts)) {
    return {
      counts,
      atSeconds,
      sums: NOTHING,
      quietCells: QUIET_CELLS.most,
      droppedAtSeconds: -Infinity,
      metByDrop: undefined,
      signature: undefined,
    }
  }
  if (atSeconds - before.atSeconds < CELL_SECONDS) return before
  const sums = addCell(before.sums, before.counts, counts)
  const drops = dropsBetween(before.counts, counts)
  const quietCells = drops > 0 ? 0 : before.quietCells + 1
  const droppedAtSeconds = drops > 0 ? atSeconds : before.droppedAtSeconds
  const judged = { counts, atSeconds, quietCells, droppedAtSeconds }
  const isLong = quietCells >= QUIET_CELLS.least && atSeconds - droppedAtSeconds >= QUIET_SECONDS
  if (quietCells >= QUIET_CELLS.most || isLong) {
    const kept = before.signature === undefined ? sums : NOTHING
    return { ...judged, sums: kept, metByDrop: undefined, signature: undefined }
  }
  const metByDrop = judgeLine(sums, before.metByDrop)
  const known = { ...judged, sums, metByDrop }
  if (metByDrop !== undefined) return { ...known, signature: 'range_full' }
  // Races that go on and on are rarer than a small range that is full.
  const isRace = sums.metBeside < sums.drops && sums.dropping < DROPPING_CELLS.begins
  return { ...known, signature: isRace ? 'races_or_small_range' : 'unclear' }
}

function isLess(now: DropCounts, before: DropCounts): boolean {
  return (
    now.collisions < before.collisions ||
    now.insertFailed < before.insertFailed ||
    now.dropped < before.dropped
  )
}

/**
 * Packets whose entry met a taken tuple. One that conntrack cannot store fails as well, and is not counted as a drop.
 */
function dropsBetween(before: DropCounts, now: DropCounts): number {
  return Math.min(now.insertFailed - before.insertFailed, now.dropped - before.dropped)
}

function addCell(sums: Sums, before: DropCounts, now: DropCounts): Sums {
  const drops = dropsBetween(before, now)
  const met = now.collisions - before.collisions
  return {
    cells: sums.cells * DECAY + 1,
    dropping: sums.dropping * DECAY + (drops > 0 ? 1 : 0),
    drops: sums.drops * DECAY + drops,
    met: sums.met * DECAY + met,
    metBeside: sums.metBeside * DECAY + (drops > 0 ? met : 0),
    dropsSquared: sums.dropsSquared * DECAY + drops ** 2,
    metSquared: sums.metSquared * DECAY + met ** 2,
    product: sums.product * DECAY + drops * met,
  }
}

/**
 * Fits a line of taken ports over drops by least squares and returns its slope, or undefined where the taken ports do
 * not follow the drops. `before` is the slope of the last cell.
 */
function judgeLine(sums: Sums, before: number | undefined): number | undefined {
  const { cells, dropping, drops, met } = sums
  const phase = before === undefined ? 'begins' : 'ends'
  if (dropping < DROPPING_CELLS[phase]) return undefined
  if (before === undefined && drops ** 2 < LEAST_EVEN_CELLS * sums.dropsSquared) return undefined
  const spread = sums.dropsSquared - drops ** 2 / cells
  const common = sums.product - (drops * met) / cells
  const slope = spread >= LEAST_SPREAD * drops ? common / spread : before
  if (slope === undefined || slope < LEAST_MET || slope > MOST_MET) return undefined
  const metSpread = sums.metSquared - met ** 2 / cells
  const distance = metSpread - 2 * slope * common + slope ** 2 * spread
  return distance <= DISTANCE[phase] * slope ** 2 * drops ? slope : undefined
}
