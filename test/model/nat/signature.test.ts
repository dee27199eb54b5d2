import { describe, expect, test } from 'vitest'
import { advanceSignature, type SignatureState } from '../../../src/model/nat/signature.ts'
import type { DropSignature } from '../../../src/snapshot.ts'
import { createUniform } from '../../support/program/random.ts'

type Random = () => number
/** Drops and taken ports of one sample. */
type Cell = readonly [drops: number, met: number]
type Play = (random: Random, sample: number) => Cell

/** A number of events that come by chance. */
function byChance(random: Random, mean: number): number {
  let events = 0
  for (let left = mean; left > 0; left -= 20) {
    const limit = Math.exp(-Math.min(left, 20))
    for (let product = random(); product > limit; product *= random()) events++
  }
  return events
}

/** The taken ports that so many connections meet where the share `fill` of the ports is taken. */
function searchesOf(random: Random, connections: number, fill: number): number {
  let met = 0
  for (let one = 0; one < connections; one++) {
    met += Math.floor(Math.log(1 - random()) / Math.log(fill))
  }
  return met
}

/** Connections through a pool where the share `failing` of the searches fails. */
function crowd(random: Random, connections: number, failing: number): Cell {
  let [drops, met] = [0, 0]
  for (let one = 0; one < connections; one++) {
    const fails = random() < failing
    drops += fails ? 1 : 0
    met += fails ? 128 : Math.floor(random() * 128)
  }
  return [drops, met]
}

const START = advanceSignature(undefined, { collisions: 0, insertFailed: 0, dropped: 0 }, 0)

function advance(state: SignatureState, [drops, met]: Cell, seconds = 5): SignatureState {
  const { counts, atSeconds } = state
  const next = {
    collisions: counts.collisions + met,
    insertFailed: counts.insertFailed + drops,
    dropped: counts.dropped + drops,
  }
  return advanceSignature(state, next, atSeconds + seconds)
}

/** How many of 300 samples said what. */
function play(of: Play, seed: number): Readonly<Partial<Record<DropSignature, number>>> {
  const random = createUniform(seed)
  const said: Partial<Record<DropSignature, number>> = {}
  let state = START
  for (let sample = 0; sample < 300; sample++) {
    state = advance(state, of(random, sample))
    const { signature } = state
    if (signature !== undefined) said[signature] = (said[signature] ?? 0) + 1
  }
  return said
}

// None of those that the numbers were chosen with.
const seeds = Array.from({ length: 25 }, (_, at) => 9_000_001 + 104_729 * at)

const full: Readonly<Record<string, Play>> = {
  'TCP connections that meet 68 ports each': (random) => {
    const drops = byChance(random, 3)
    return [drops, 68 * drops]
  },
  'a few that try again and again': (random) => {
    const drops = byChance(random, 0.7)
    return [drops, 128 * drops]
  },
  'as many in each sample': (_random, sample) => (sample < 5 ? [0, 0] : [10, 1280]),
  'a thousand others in each sample, through a pool that is half full': (random) => {
    const drops = byChance(random, 5)
    return [drops, 128 * drops + searchesOf(random, byChance(random, 1000), 0.5)]
  },
  'four of five that fail': (random) => crowd(random, byChance(random, 20), 0.8),
  'TCP and UDP': (random) => {
    const [tcp, udp] = [byChance(random, 5), byChance(random, 5)]
    return [tcp + udp, 128 * tcp + 248 * udp]
  },
}

const notFull: Readonly<Record<string, Play>> = {
  'one of five searches that fails': (random) => crowd(random, byChance(random, 20), 0.2),
  'races whose losers meet the port of the winner': (random) => {
    const drops = byChance(random, 5)
    return [drops, drops]
  },
  'races whose losers search a pool that is nearly full': (random) => {
    const drops = byChance(random, 5)
    return [drops, drops + searchesOf(random, drops, 0.9)]
  },
  'races beside a steady load': (random) => [
    byChance(random, 5),
    searchesOf(random, byChance(random, 500), 0.5),
  ],
  'as many races in each sample beside a steady load': (random, sample) => [
    sample < 5 ? 0 : 5,
    searchesOf(random, byChance(random, 500), 0.5),
  ],
  'races that come and go with the load': (random, sample) => {
    const load = 1 + Math.sin(sample / 7)
    return [byChance(random, 5 * load), searchesOf(random, byChance(random, 500 * load), 0.5)]
  },
  'batches that race': (random) => {
    const load = random() < 0.3 ? 1 : 0
    return [byChance(random, 50 * load), searchesOf(random, 5000 * load, 0.5)]
  },
  'a load that races and is off every other time': (random, sample) => {
    const load = Math.floor(sample / 40) % 2
    return [byChance(random, 3 * load), searchesOf(random, byChance(random, 300 * load), 0.5)]
  },
}

describe('the signature of drops', () => {
  test.each(Object.entries(full))('says that a range is full: %s', (_name, of) => {
    for (const seed of seeds) expect(play(of, seed).range_full).toBeGreaterThan(200)
  })

  test.each(Object.entries(notFull))('never says that a range is full: %s', (_name, of) => {
    for (const seed of seeds) expect(play(of, seed).range_full ?? 0).toBe(0)
  })

  test('tells races now and then, and is in doubt where they go on as in a full range of at most 32 ports', () => {
    for (const seed of seeds) {
      const some = play((random) => [random() < 0.2 ? byChance(random, 5) : 0, 0], seed)
      expect(Object.keys(some)).toEqual(['races_or_small_range'])
      const many = play((random) => [byChance(random, 5), 0], seed)
      expect(Object.keys(many)).toEqual(['races_or_small_range', 'unclear'])
      expect(many.unclear).toBeGreaterThan(250)
    }
  })

  test('needs twenty samples with drops, and forgets them after two dozen without', () => {
    let state = START
    const repeat = (samples: number, cell: Cell) => {
      for (let sample = 0; sample < samples; sample++) state = advance(state, cell)
      return state.signature
    }
    expect(repeat(10, [0, 300])).toBeUndefined()
    expect(repeat(1, [2, 136])).toBe('unclear')
    expect(repeat(20, [2, 136])).toBe('unclear')
    expect(repeat(4, [2, 136])).toBe('unclear')
    state = START
    repeat(10, [0, 0])
    expect(repeat(19, [2, 136])).toBe('unclear')
    expect(repeat(10, [2, 136])).toBe('range_full')
    expect(repeat(23, [0, 0])).toBe('range_full')
    expect(repeat(1, [0, 0])).toBeUndefined()
    expect(repeat(1, [1, 68])).toBe('unclear')
  })

  test.each([
    [3, false],
    [5, true],
    [490, true],
    [500, false],
  ])('takes %i taken ports for each drop for a full range: %s', (ports, isFull) => {
    for (const seed of seeds.slice(0, 5)) {
      const said = play((random) => {
        const drops = byChance(random, 3)
        return [drops, ports * drops]
      }, seed)
      expect((said.range_full ?? 0) > 200, `${seed}`).toBe(isFull)
    }
  })

  test('ends a cell with the first sample after 0.95 s', () => {
    expect(advance(START, [1, 68], 0.94)).toBe(START)
    expect(advance(START, [1, 68], 0.95).sums.cells).toBe(1)
  })

  test('forgets drops of two minutes ago, however few samples there were', () => {
    let state = START
    for (let at = 0; at < 40; at++) state = advance(state, at < 10 ? [0, 0] : [2, 136], 60)
    expect(state.signature).toBe('range_full')
    state = advance(state, [0, 0], 60)
    expect(state.signature).toBe('range_full')
    expect(advance(state, [0, 0], 60).signature).toBeUndefined()
  })

  test('is not drawn by one burst of races', () => {
    for (const seed of [1, 2, 3, 4]) {
      const random = createUniform(seed)
      let state = START
      for (let at = 0; at < 30; at++) state = advance(state, [byChance(random, 1), 0])
      state = advance(state, [400, 4000])
      expect(state.signature).toBe('unclear')
    }
  })

  test('calls a race rare, although others meet taken ports', () => {
    let state = START
    for (let at = 0; at < 30; at++) state = advance(state, [0, 1])
    expect(advance(state, [1, 0]).signature).toBe('races_or_small_range')
  })

  test('knows no line where nothing was seen before the same drops in each sample', () => {
    let state = START
    for (let sample = 0; sample < 100; sample++) state = advance(state, [10, 680])
    expect(state.signature).toBe('unclear')
  })

  test('ends when races follow', () => {
    const random = createUniform(7)
    let state = START
    const repeat = (samples: number, of: Play) => {
      for (let sample = 0; sample < samples; sample++) state = advance(state, of(random, sample))
      return state.signature
    }
    expect(repeat(60, full['TCP connections that meet 68 ports each'] ?? (() => [0, 0]))).toBe(
      'range_full',
    )
    expect(repeat(100, notFull['races beside a steady load'] ?? (() => [0, 0]))).toBe('unclear')
  })

  test('gathers samples of less than a second, and begins anew with a counter', () => {
    let state = START
    for (let sample = 0; sample < 9; sample++) state = advance(state, [1, 68], 0.1)
    expect(state).toBe(START)
    const counts = { collisions: 680, insertFailed: 10, dropped: 10 }
    state = advanceSignature(state, counts, 1)
    expect(state.sums).toMatchObject({ cells: 1, drops: 10, met: 680 })
    for (const name of ['collisions', 'insertFailed', 'dropped'] as const) {
      const less = { ...counts, [name]: counts[name] - 1 }
      expect(advanceSignature(state, less, 6)).toMatchObject({
        counts: less,
        sums: { cells: 0 },
        signature: undefined,
      })
    }
  })

  test('leaves out what conntrack could not store, which is no drop', () => {
    const counts = { collisions: 9000, insertFailed: 90, dropped: 0 }
    expect(advanceSignature(START, counts, 5)).toMatchObject({
      sums: { drops: 0 },
      signature: undefined,
    })
  })
})
