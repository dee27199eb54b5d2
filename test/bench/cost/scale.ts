// npm run bench:scale: what the running program costs where very many sockets or namespaces are, beside a C reader of plain
// dumps: CPU time of the whole process for a sample, resident memory, and how long a scrape takes meanwhile -> tables on the
// console and, with --write FILE, as Markdown. With --only WORD it looks at the scenes alone whose names have that word, and at
// the first, which memory is compared with. Needs Linux, root, gcc, unshare, and dist/.

import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { NETNS_DIRECTORY } from '../../../src/namespaces/named.ts'
import { whyNotExact } from '../../support/netns/live.ts'

import { ROOT } from './children.ts'
import { measure } from './scale-measure.ts'
import { type Measured, type Result, renderReport } from './scale-report.ts'
import { type Scene, scenes } from './scale-scenes.ts'

/** Longer than a scene takes before it gives up. */
const SCENE_MS = 1_200_000
/** Its end ends everything in it: the program sees what the scene has made, and nothing of that is left, whatever happens. */
const APART = ['--pid', '--fork', '--kill-child', '--mount-proc', '--net', '--']

/** Each scene has processes of its own: with them go its namespaces and all that it has made. */
function measureApart(scene: Scene): Result {
  const self = [process.execPath, '--import', 'tsx', fileURLToPath(import.meta.url)]
  const { stdout, status } = spawnSync('unshare', [...APART, ...self, '--scene', scene.name], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    timeout: SCENE_MS,
    killSignal: 'SIGKILL',
  })
  if (status !== 0) throw new Error(`Cannot measure ${scene.name}`)
  process.stderr.write(`${scene.name}: ${stdout}\n`)
  return JSON.parse(stdout)
}

/** Namespaces that others have named are no part of a scene. */
function hideNamedNamespaces(): void {
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', '/run'])
  if (status !== 0) throw new Error(`Cannot mount on /run: ${stderr}`)
  mkdirSync(NETNS_DIRECTORY)
}

const { values } = parseArgs({
  options: {
    write: { type: 'string' },
    only: { type: 'string', default: '' },
    scene: { type: 'string' },
  },
})
try {
  const refusal = whyNotExact()
  if (refusal !== undefined) throw new Error(refusal)
  const scene = scenes.find(({ name }) => name === values.scene)
  if (scene !== undefined) {
    hideNamedNamespaces()
    process.stdout.write(JSON.stringify(await measure(scene)))
    // The other processes of the PID namespace end with this one.
    process.exit()
  }
  const chosen = scenes.filter(({ name }, at) => at === 0 || name.includes(values.only))
  const measured: readonly Measured[] = chosen.map((one) => ({
    scene: one,
    result: measureApart(one),
  }))
  const report = renderReport(measured, measured[0]?.result)
  process.stdout.write(report)
  if (values.write !== undefined) writeFileSync(values.write, report)
} catch (error) {
  process.stderr.write(
    `The benchmark could not be run: ${error instanceof Error ? error.message : error}\n`,
  )
  process.exitCode = 1
}
