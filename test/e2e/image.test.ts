// The image without Docker: its file tree assembled by what the Dockerfile runs, and started with Node 24 in namespaces
// of its own, as the user and with the mounts it is shipped for.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Container, renderContainerCommand } from '../../deploy/image/container.ts'
import { ENTRYPOINT, NONROOT } from '../../deploy/image/rootfs.ts'
import { assembleTree, listFiles, measureTree } from '../../deploy/image/tree.ts'
import {
  buildImage,
  findNode24,
  IMAGE_TIMEOUT_MS,
  type Image,
  REVISION,
  ROOT,
  whyNoImage,
} from '../support/cluster/image-build.ts'
import { findFreePort } from '../support/program/free-port.ts'
import { waitFor, withProgram } from '../support/program/program.ts'

const reason = whyNoImage()
let image: Image = { tree: '', rootfs: '', remove: () => {} }

beforeAll(() => {
  if (reason === undefined) image = buildImage()
}, IMAGE_TIMEOUT_MS)
afterAll(() => image.remove())
beforeEach((ctx) => {
  if (reason !== undefined) ctx.skip(reason)
})

/** As `docker run --network=host` starts it: nothing is mounted, nothing said about users. */
function describePlain(command: readonly string[]): Container {
  return {
    rootfs: image.rootfs,
    command,
    environment: { NODE_ENV: 'production' },
    uid: NONROOT,
    gid: NONROOT,
    capabilities: [],
    noNewPrivileges: false,
    readOnlyRoot: false,
    hostNetwork: true,
    mounts: [],
  }
}

/** Runs JavaScript with the image's Node in the image, and gives what it prints as JSON. */
function evaluate(code: string): unknown {
  const command = describePlain([ENTRYPOINT[0], '--input-type=module', '-e', code])
  const [program = '', ...args] = renderContainerCommand(command)
  return JSON.parse(execFileSync(program, args, { encoding: 'utf8' }))
}

describe('the tree', () => {
  test('holds the program, its packages and their terms, and nothing else', () => {
    const files = listFiles(image.tree)
    expect(files).toContain('dist/main.js')
    expect(files).toContain('LICENSE')
    const strange = files.filter(
      (path) => !/\.([cm]?js|json|node)$|(^|\/)(licen[cs]e|notice)[^/]*$/i.test(path),
    )
    expect(strange).toEqual([])
    expect(files.filter((path) => path.endsWith('.node'))).toEqual([
      `node_modules/@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`,
    ])
    const packages = new Set(
      files.map((path) => /^node_modules\/([^@/]+|@[^/]+\/[^/]+)/.exec(path)?.[1]),
    )
    for (const foreign of ['npm', 'typescript', 'vitest', '@koromix/koffi-linux-ia32']) {
      expect(packages).not.toContain(foreign)
    }
  })

  test('is as small as its documentation says', () => {
    const install = readFileSync(join(ROOT, 'docs/install.md'), 'utf8')
    const [, megabytes] =
      /this\s+program\s+with\s+all\s+its\s+packages\s+is\s+([\d.]+)\s+MB/.exec(install) ?? []
    const { bytes } = measureTree(image.tree)
    expect(Math.abs(bytes / 1e6 - Number(megabytes))).toBeLessThan(0.1)
  })

  test('lacks no file that a package needs to be loaded', () => {
    const { dependencies, optionalDependencies } = JSON.parse(
      readFileSync(join(ROOT, 'package.json'), 'utf8'),
    )
    const names = Object.keys({ ...dependencies, ...optionalDependencies })
    const code = `process.chdir('/app')
      const { createRequire } = await import('node:module')
      const { resolve } = createRequire('/app/dist/main.js')
      const loaded = []
      for (const name of ${JSON.stringify(names)}) {
        await import(resolve(name))
        loaded.push(name)
      }
      console.log(JSON.stringify(loaded))`
    expect(evaluate(code)).toEqual(names)
  })

  test('for the other processor holds its own library', { timeout: IMAGE_TIMEOUT_MS }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'image-other-'))
    try {
      const out = join(folder, 'tree')
      assembleTree({
        root: ROOT,
        out,
        target: { cpu: 'arm64', libc: 'glibc' },
        revision: undefined,
      })
      const addons = listFiles(out).filter((path) => path.endsWith('.node'))
      expect(addons).toEqual(['node_modules/@koromix/koffi-linux-arm64/linux_arm64/koffi.node'])
      // ELF e_machine: EM_AARCH64
      expect(readFileSync(join(out, addons[0] ?? '')).readUInt16LE(18)).toBe(183)
      expect(readFileSync(join(out, 'package.json'), 'utf8')).not.toContain('gitHead')
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

describe('the container', () => {
  test('is started by npm run image, which says how large the tree is', {
    timeout: IMAGE_TIMEOUT_MS,
  }, async () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    expect(scripts.image).toBe('tsx deploy/image/smoke.ts')
    const args = ['deploy/image/smoke.ts', `--port=${await findFreePort()}`]
    const said = execFileSync(findNode24() ?? '', args, {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: 'pipe',
    })
    const [, megabytes] =
      /^The tree serves: \d+ files, ([\d.]+) MB on top of the base image$/m.exec(said) ?? []
    // But for the revision it is the same tree.
    expect(Math.abs(measureTree(image.tree).bytes / 1e6 - Number(megabytes))).toBeLessThan(0.01)
  })

  test('runs on Node 24 as somebody without any right, and cannot open a debugger', async () => {
    const code = `const { readFileSync } = await import('node:fs')
      const [, uid] = /^Uid:\\s+(\\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))
      const [, rights] = /^CapEff:\\s+(\\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))
      console.log(JSON.stringify({ uid, rights, node: process.version }))`
    expect(evaluate(code)).toEqual({
      uid: String(NONROOT),
      rights: '0000000000000000',
      node: expect.stringMatching(/^v24\./),
    })
    expect(ENTRYPOINT).toContain('--disable-sigusr1')
  })

  test('serves exact readings of the network it is in, and knows its revision', async () => {
    const port = await findFreePort()
    const container = describePlain([...ENTRYPOINT, `--web.listen-address=127.0.0.1:${port}`])
    await withProgram(
      [],
      async ({ child, ended }) => {
        const get = async (path: string) => await fetch(`http://127.0.0.1:${port}${path}`)
        await waitFor(async () => (await get('/-/ready')).ok || undefined)
        const page = await (await get('/metrics')).text()
        const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
        expect(page).toContain(
          `ephemeral_port_exporter_build_info{version="${version}",revision="${REVISION}",nodeversion="v24.`,
        )
        expect(page).toMatch(
          /^ephemeral_port_source_info\{netns="(host|self)",reader="netlink",exactness="(exact|inferred)",range="sysctl"\} 1$/m,
        )
        expect(page).toMatch(/^ephemeral_port_pool_available_ports\{.*pool="tcp_connect"\} \d+$/m)

        // As process 1 of its namespace it gets no signal that it does not handle.
        const pid = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim()
        process.kill(Number(pid), 'SIGTERM')
        const { status, afterMs } = await ended()
        expect(status).toBe(0)
        expect(afterMs).toBeLessThan(2000)
      },
      { command: renderContainerCommand(container) },
    )
  })
})
