// Command: assembles the image's file tree, starts it as the chart's privilege profile `none` does, reads its page, and
// stops it. Needs root, unshare and capsh, but no Docker.
//   node deploy/image/smoke.ts [--node=BINARY] [--port=PORT]

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { renderContainerCommand } from './container.ts'
import { describeProfileNone } from './profile-none.ts'
import { createRootfs } from './rootfs.ts'
import { assembleTree, measureTree } from './tree.ts'

const START_MS = 60_000

const { values } = parseArgs({
  options: {
    node: { type: 'string', default: process.execPath },
    port: { type: 'string', default: '20132' },
  },
})
const folder = mkdtempSync(join(tmpdir(), 'image-smoke-'))
try {
  await smoke()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function smoke(): Promise<void> {
  const tree = join(folder, 'tree')
  const rootfs = join(folder, 'rootfs')
  const cpu = process.arch === 'arm64' ? 'arm64' : 'x64'
  const root = fileURLToPath(new URL('../..', import.meta.url))
  assembleTree({ root, out: tree, target: { cpu, libc: 'glibc' }, revision: undefined })
  createRootfs({ out: rootfs, tree, node: values.node })
  const [program = '', ...args] = renderContainerCommand(
    describeProfileNone(rootfs, `127.0.0.1:${values.port}`),
  )
  const child = spawn(program, args, { detached: true, stdio: ['ignore', 'inherit', 'inherit'] })
  const ended = once(child, 'exit')
  try {
    const page = await readPage(child)
    const { version } = JSON.parse(readFileSync(join(tree, 'package.json'), 'utf8'))
    for (const wanted of [
      `ephemeral_port_exporter_build_info{version="${version}"`,
      'ephemeral_port_netns_success{netns="host"} 1',
      'ephemeral_port_pool_available_ports{netns="host",pool="tcp_connect"}',
    ]) {
      if (!page.includes(wanted)) throw new Error(`Cannot find ${wanted} on the page:\n${page}`)
    }
  } finally {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
    await ended
  }
  const { files, bytes } = measureTree(tree)
  console.log(
    `The tree serves: ${files} files, ${(bytes / 1e6).toFixed(2)} MB on top of the base image`,
  )
}

async function readPage(child: ChildProcess): Promise<string> {
  const deadline = Date.now() + START_MS
  for (;;) {
    const ready = await fetch(`http://127.0.0.1:${values.port}/-/ready`).catch(() => undefined)
    if (ready?.ok) break
    if (child.exitCode !== null) throw new Error(`Cannot start, exit status ${child.exitCode}`)
    if (Date.now() > deadline) throw new Error(`Cannot get an answer within ${START_MS} ms`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return await (await fetch(`http://127.0.0.1:${values.port}/metrics`)).text()
}
