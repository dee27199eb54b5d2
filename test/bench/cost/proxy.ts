// npm run bench:proxy: what a sample of a proxy costs whose range is as wide as it gets, so that its listeners are inside and so
// are all connections that they accept -> a table on the console. Ends with 1 when it costs more than the
// limit, or could not be measured. Needs Linux, root and gcc.

import { writeFileSync } from 'node:fs'
import { openLibc } from '../../support/kernel/libc.ts'
import { whyNotExact } from '../../support/netns/live.ts'
import { enterFreshNetns } from '../../support/netns/netns.ts'
import { createChildren } from './children.ts'
import { openContenders } from './contenders.ts'
import { DESTINATIONS, openCrowd } from './crowd.ts'
import { openFloor } from './floor.ts'
import { type Rival, ROUNDS, race } from './race.ts'
import { FLOOR, renderRace, SAMPLE, takeCpuRatio } from './report.ts'

const RANGE = { first: 1024, last: 65_535 }
/** Client sockets; with the accepted ends there are twice as many. */
const CLIENTS = 30_000
const WARM_UPS = 60
const CPU_LIMIT = 1.15

const children = createChildren()
try {
  const refusal = whyNotExact()
  if (refusal !== undefined) throw new Error(refusal)
  enterFreshNetns(openLibc())
  writeFileSync('/proc/sys/net/ipv4/ip_local_port_range', `${RANGE.first} ${RANGE.last}`)
  const floor = openFloor(children, RANGE)
  const contenders = await openContenders()
  const crowd = await openCrowd(children)
  await crowd.grow(CLIENTS)
  const rivals: readonly Rival[] = [
    { name: FLOOR, run: floor.sample, rounds: ROUNDS },
    { name: SAMPLE, run: contenders.sample, rounds: ROUNDS },
  ]
  const result = await race({
    tcpSockets: CLIENTS + crowd.connections() + DESTINATIONS,
    udpSockets: crowd.udp,
    warmUps: WARM_UPS,
    churn: crowd.churn,
    rivals,
  })
  const { arrayBuffers, rss } = process.memoryUsage()
  const memory = `${(arrayBuffers / 2 ** 20).toFixed(1)} MB of columns, ${(rss / 2 ** 20).toFixed(0)} MB resident with tsx`
  process.stdout.write(`${renderRace(result)}\n${memory}\n`)
  process.exitCode = takeCpuRatio(result) <= CPU_LIMIT ? 0 : 1
} catch (error) {
  process.stderr.write(
    `Cannot measure a proxy: ${error instanceof Error ? error.message : error}\n`,
  )
  process.exitCode = 1
} finally {
  await children.end()
}
