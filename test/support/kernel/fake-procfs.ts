// A /proc of the test's making: processes and their namespaces as links. Two paths are one inode where they are one
// namespace, which hard links do.

import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface FakeProcfs {
  readonly path: string
  /** Starts a process in the namespace of that name, at that many seconds after boot. */
  start(pid: number, namespace: string, startSeconds?: number): void
  /** Moves a process into another namespace. */
  move(pid: number, namespace: string): void
  end(pid: number): void
  setUptime(seconds: number): void
  inodeOf(namespace: string): number
  remove(): void
}

export function createFakeProcfs(): FakeProcfs {
  const path = mkdtempSync(join(tmpdir(), 'procfs-'))
  const namespaces = join(path, 'namespaces')
  mkdirSync(namespaces)
  const fileOf = (namespace: string, file: string) => {
    const name = join(namespaces, `${namespace}-${file}`)
    writeFileSync(name, '', { flag: 'a' })
    return name
  }
  let ended = 0
  const place = (pid: number, namespace: string) => {
    const next = join(path, String(pid), 'next')
    symlinkSync(`net:[${fake.inodeOf(namespace)}]`, next)
    renameSync(next, join(path, String(pid), 'ns/net'))
    linkSync(fileOf(namespace, 'tcp'), next)
    renameSync(next, join(path, String(pid), 'net/tcp'))
  }
  const fake: FakeProcfs = {
    path,
    start(pid, namespace, startSeconds = 10) {
      for (const directory of ['ns', 'net']) {
        mkdirSync(join(path, String(pid), directory), { recursive: true })
      }
      const fields = `S 1${' 0'.repeat(17)} ${startSeconds * 100} 0 0`
      writeFileSync(join(path, String(pid), 'stat'), `${pid} (a test) ${fields}`)
      place(pid, namespace)
    },
    move: place,
    // Kept under another name: procfs gives the inode of a process' directory to no other.
    end: (pid) => renameSync(join(path, String(pid)), join(path, `ended-${ended++}`)),
    setUptime: (seconds) => writeFileSync(join(path, 'uptime'), `${seconds}.00 0.00\n`),
    inodeOf: (namespace) => statSync(fileOf(namespace, 'ns')).ino,
    remove: () => rmSync(path, { recursive: true }),
  }
  fake.setUptime(1000)
  return fake
}
