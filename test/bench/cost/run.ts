// npm run bench: what one sample costs, beside the least it could cost and beside what people use instead, with real sockets in a
// throwaway network namespace -> one report on the console and, with --write FILE, as Markdown. Ends with 1 when a limit is
// missed or nothing could be measured. Needs Linux, root, gcc, ss, and dist/ for the program's memory.

import { writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { parseArgs } from 'node:util'
import { openLibc } from '../../support/kernel/libc.ts'
import { whyNotExact } from '../../support/netns/live.ts'
import { enterFreshNetns } from '../../support/netns/netns.ts'
import { createChildren } from './children.ts'
import { openContenders } from './contenders.ts'
import { DESTINATIONS, openCrowd } from './crowd.ts'
import { openFloor } from './floor.ts'
import { measureMemory } from './program.ts'
import { type Rival, ROUNDS, race, tell } from './race.ts'
import {
  checkMemory,
  checkRace,
  FLOOR,
  NETWORK_CONNECTIONS,
  PROC_NET,
  renderChecks,
  renderMemory,
  renderRace,
  SAME,
  SAMPLE,
  SS,
  WALK,
} from './report.ts'

const RANGE = { first: 32_768, last: 60_999 }
const BUSY = 28_000
const CROWDED = 100_000
/** The compiler needs some samples to learn what is hot, and the forecast some to have a past to look at. */
const WARM_UPS = 30
const WARM_UPS_WITH_A_PAST = 120
/** What takes longer has limits that leave more room for the noise. */
const OTHER_ROUNDS = 9
const SLOW_ROUNDS = 3

async function bench(): Promise<{ readonly report: string; readonly met: boolean }> {
  const children = createChildren()
  try {
    enterFreshNetns(openLibc())
    const floor = openFloor(children, RANGE)
    const same = openFloor(children, RANGE, ['idle-once'])
    const contenders = await openContenders()
    const dumps: readonly Rival[] = [
      { name: FLOOR, run: floor.sample, rounds: ROUNDS },
      { name: SAMPLE, run: contenders.sample, rounds: ROUNDS },
      { name: SAME, run: same.sample, rounds: ROUNDS },
    ]
    const others: readonly Rival[] = [
      { name: WALK, run: contenders.walk, rounds: ROUNDS },
      { name: SS, run: contenders.ss, rounds: OTHER_ROUNDS },
      { name: PROC_NET, run: contenders.procNet, rounds: OTHER_ROUNDS },
      { name: NETWORK_CONNECTIONS, run: contenders.networkConnections, rounds: SLOW_ROUNDS },
    ]
    const idle = await race({
      tcpSockets: 0,
      udpSockets: 0,
      warmUps: WARM_UPS,
      churn: async () => {},
      rivals: dumps,
    })
    const crowd = await openCrowd(children)
    const crowdStage = { udpSockets: crowd.udp, churn: crowd.churn }
    await crowd.grow(BUSY)
    tell(`${BUSY} sockets opened`)
    const busy = await race({
      ...crowdStage,
      tcpSockets: BUSY,
      warmUps: WARM_UPS_WITH_A_PAST,
      rivals: dumps,
    })
    const memory = await measureMemory(crowd.churn)
    if (memory.sockets !== BUSY + crowd.udp) {
      throw new Error(`The program sees ${memory.sockets} sockets of ${BUSY + crowd.udp}`)
    }
    await crowd.grow(CROWDED)
    tell(`${CROWDED} sockets opened`)
    const crowded = await race({
      ...crowdStage,
      tcpSockets: CROWDED,
      warmUps: WARM_UPS,
      rivals: [...dumps, ...others],
    })
    const checks = [...checkRace(crowded), ...checkMemory(memory, process.version)]
    const report = [
      '# Cost of a sample\n',
      `Written by \`npm run bench\` on Node ${process.version.slice(1)}, Linux ${release()}, ${cpus().length} CPUs.`,
      'Medians of interleaved runs; CPU time is user and system time of everything that a run needs.',
      `Connections to ${DESTINATIONS} destinations, both ends on this host, some of them new in every round;`,
      `rows are the sockets that were given: those in the range, ${crowd.udp} of UDP among them, or by networkConnections() all.`,
      'A dump walks what the whole machine holds: sockets of others, in whatever namespace, make every figure larger.\n',
      ...[crowded, busy, idle].map(renderRace),
      renderMemory(memory),
      renderChecks(checks),
    ].join('\n')
    return { report, met: checks.every(({ met }) => met) }
  } finally {
    await children.end()
  }
}

const { values } = parseArgs({ options: { write: { type: 'string' } } })
const refusal = whyNotExact()
try {
  if (refusal !== undefined) throw new Error(refusal)
  const { report, met } = await bench()
  process.stdout.write(report)
  if (values.write !== undefined) writeFileSync(values.write, report)
  process.exitCode = met ? 0 : 1
} catch (error) {
  process.stderr.write(
    `The benchmark could not be run: ${error instanceof Error ? error.message : error}\n`,
  )
  process.exitCode = 1
}
