// What the forecast costs: one run with one and with many destinations -> CPU time of a sample of one pool.

import { simulateFamily } from './examples.ts'
import type { Family } from './family.ts'
import { replay } from './replay.ts'

const INTERVAL_SECONDS = 5
const CROWDS = [1, 50] as const

export function renderCpu(family: Family): string {
  const { readings } = simulateFamily(family, 'cpu', INTERVAL_SECONDS)
  replay({ readings })
  const rows = CROWDS.map((destinations) => {
    const crowd = readings.map((reading) => ({
      ...reading,
      tracks: Array.from({ length: destinations }, (_, i) =>
        reading.tracks.map((track) => ({ ...track, key: `${track.key} ${i}` })),
      ).flat(),
    }))
    const before = process.cpuUsage().user
    replay({ readings: crowd })
    const microseconds = (process.cpuUsage().user - before) / crowd.length
    return `| ${destinations} | ${(microseconds / 1000).toFixed(2)} ms |`
  })
  return [
    '## CPU\n',
    `Of one sample of one pool (${family.name}), on the machine that ran this bench.\n`,
    '| busy destinations | CPU |\n| --- | --- |',
    ...rows,
    '',
  ].join('\n')
}
