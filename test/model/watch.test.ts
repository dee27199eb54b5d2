import { describe, expect, test } from 'vitest'
import { advanceWatch, type Watch } from '../../src/model/watch.ts'
import { createRandom } from '../bench/forecast/random.ts'
import { connectByChance } from './connections.ts'
import { type Ports, tableOf } from './flow-tables.ts'
import { countPages, listMoments } from './forecast/forecast-play.ts'
import { createLine, establish } from './step-play.ts'

const PORTS = 600

describe('the forecast of many destinations', () => {
  test.each([
    { count: 40, share: 0.2, top: 10 },
    { count: 8, share: 0.4, top: 2 },
    { count: 60, share: 0.5, top: 10 },
  ])('does not take one of $count that climbs over others for one that was idle', (crowd) => {
    const { count, share, top } = crowd
    const random = createRandom('climbers')
    const mean = share * PORTS
    const live = Array.from({ length: count }, () => mean * random.between(0.9, 1.1))
    const line = createLine({ ports: PORTS, top })
    const risks: (number | undefined)[] = []
    for (const atSeconds of listMoments(600, 5)) {
      live.forEach((ports, to) => {
        live[to] = ports + random.between(-0.04, 0.04) * mean - 0.05 * (ports - mean)
      })
      const pools = line.look(
        atSeconds,
        live.flatMap((ports, to) => establish(to, ports)),
      )
      risks.push(pools('tcp_connect').riskRatio)
    }
    expect(risks.filter((risk) => risk !== undefined).length).toBeGreaterThan(60)
    expect(countPages(risks, 5)).toBe(0)
  })

  test.each([
    { count: 12, share: 0.85, top: 10 },
    { count: 12, share: 0.85, top: 1 },
    { count: 45, share: 0.6, top: 10 },
  ])(
    'sees a leak behind $count destinations at $share seven minutes ahead, with --top=$top',
    ({ count, share, top }) => {
      const perSecond = 0.5
      const fullAt = 300 + (0.9 * PORTS) / perSecond
      const line = createLine({ ports: PORTS, top })
      const crowd = Array.from({ length: count }, (_, to) => establish(to, share * PORTS)).flat()
      for (const atSeconds of listMoments(fullAt - 300, 10)) {
        const leaked = 0.1 * PORTS + perSecond * Math.max(0, atSeconds - 300)
        const pool = line.look(atSeconds, [...crowd, ...establish(200, leaked)])('tcp_connect')
        if (atSeconds > 120 && atSeconds < 300) expect(pool.riskRatio).toBeLessThan(0.3)
        if (atSeconds >= fullAt - 420) expect(pool.riskRatio).toBeGreaterThan(0.5)
      }
    },
  )

  test.each([
    { count: 80, share: 0.45, ports: 300 },
    { count: 150, share: 0.3, ports: 400 },
  ])('pages for none of $count steady destinations at $share of $ports ports', (crowd) => {
    const { count, share, ports } = crowd
    const rate = (share * ports) / 61
    const line = createLine({ ports })
    const risks: (number | undefined)[] = []
    const moments = listMoments(600, 10, 120)
    const traffic = { ports, destinations: count, rate: () => rate }
    for (const [atSeconds, holds] of connectByChance(traffic, moments)) {
      risks.push(line.look(atSeconds, holds)('tcp_connect').riskRatio)
    }
    expect(risks).toHaveLength(moments.length)
    expect(countPages(risks, 10)).toBe(0)
  })

  test('follows a bounded number of them, and remembers no more of the rest', () => {
    const line = createLine({ ports: PORTS })
    for (const atSeconds of listMoments(60, 5)) {
      const crowd = Array.from({ length: 250 }, (_, to) =>
        establish(to, 30 + ((7 * to + atSeconds) % 250)),
      )
      line.look(atSeconds, crowd.flat())
    }
    expect(line.state()?.pools.tcp_connect?.forecast.tracks.length).toBeLessThanOrEqual(65)
    expect(line.state()?.watch.biggest.length).toBeGreaterThanOrEqual(20)
    expect(line.state()?.watch.biggest.length).toBeLessThanOrEqual(40)
    expect(line.state()?.watch.growing.length).toBeLessThanOrEqual(10)
    expect(line.state()?.watch.levels.live.length).toBeLessThanOrEqual(512)
  })
})

describe('advanceWatch()', () => {
  /** One sample after another, `gap` seconds apart: which destinations are followed, and which are left. */
  function play(samples: readonly Ports[], gap = 5) {
    let before: Watch | undefined
    return samples.map((ports, at) => {
      const { flows, columnOf } = tableOf(ports)
      const taken = columnOf(ports)
      const columns = { taken, takenLive: taken, used: taken, burden: taken }
      const reading = { flows, columns, openPorts: PORTS, atSeconds: gap * at }
      const { watch, members, left } = advanceWatch(before, reading)
      before = watch
      const nameOf = ({ key }: { readonly key: Uint32Array }) => key[7] ?? 0
      return {
        biggest: watch.biggest.map(nameOf),
        growing: watch.growing.map(nameOf),
        left: left.map(nameOf),
        meanOf: (name: number) => members.find((one) => nameOf(one) === name)?.earlier?.meanPorts,
      }
    })
  }
  /** Destinations 1, 2 and so on, which take as many ports each. */
  const crowd = (count: number, ports: number): Ports =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [at + 1, ports]))

  test('follows the twenty biggest, which stay among the first forty', () => {
    const [first, second] = play([
      { ...crowd(19, 100), 50: 90, 51: 80 },
      { ...crowd(38, 100), 50: 90, 51: 80 },
    ])
    expect(first?.biggest).toEqual([...Array.from({ length: 19 }, (_, at) => at + 1), 50])
    expect(second?.biggest).toContain(50)
    expect(second?.biggest).not.toContain(51)
  })

  test.each([
    [25, []],
    [26, [50]],
  ])(
    'follows one of 10 ports that comes to %i, or not, as chance could do it: %o',
    (to, growing) => {
      const [, second] = play([
        { ...crowd(45, 100), 50: 10 },
        { ...crowd(45, 100), 50: to },
      ])
      expect(second?.growing).toEqual(growing)
      expect(second?.meanOf(50)).toBe(growing.length > 0 ? 10 : undefined)
    },
  )

  test('follows the ten that would be full first', () => {
    const climbers = Array.from({ length: 12 }, (_, at) => [50 + at, 60 + at] as const)
    const idle = Object.fromEntries(climbers.map(([name]) => [name, 10]))
    const [, second] = play([
      { ...crowd(45, 100), ...idle },
      { ...crowd(45, 100), ...Object.fromEntries(climbers) },
    ])
    expect(second?.growing).toEqual([61, 60, 59, 58, 57, 56, 55, 54, 53, 52])
  })

  test('leaves one that grows no more at the third sample, and says so while it has connections', () => {
    const steady = { ...crowd(45, 200), 50: 100 }
    const looks = play([{ ...steady, 50: 10 }, steady, steady, steady, steady, steady], 120)
    expect(looks.map(({ growing }) => growing)).toEqual([[], [50], [50], [50], [], []])
    expect(looks.map(({ left }) => left)).toEqual([[], [], [], [], [50], []])
    const gone = play([{ ...steady, 50: 10 }, steady, crowd(45, 200)], 120)
    expect(gone[2]).toMatchObject({ growing: [], left: [] })
  })
})
