// An initramfs: files of the machine -> one archive in the kernel's format (Documentation/driver-api/early-userspace).

import { closeSync, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface Archive {
  /** Adds a file, what a link leads to, or a directory with all that is in it. */
  add(name: string, from: string): void
  addDevice(name: string, major: number, minor: number): void
  addDirectory(name: string): void
  close(): void
}

const MODE = { file: 0o100755, directory: 0o040755, device: 0o020600 } as const

export function createArchive(path: string): Archive {
  const fd = openSync(path, 'w')
  const known = new Set<string>(['.'])
  let inode = 0

  function write(name: string, mode: number, data: Uint8Array, device: readonly number[] = [0, 0]) {
    const fields = [++inode, mode, 0, 0, 1, 0, data.length, 0, 0, ...device, name.length + 1, 0]
    const head = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`
    for (const bytes of [Buffer.from(head), data]) {
      writeSync(fd, bytes)
      const padding = (4 - (bytes.length % 4)) % 4
      if (padding > 0) writeSync(fd, Buffer.alloc(padding))
    }
  }

  function addDirectory(name: string): void {
    if (known.has(name)) return
    known.add(name)
    addDirectory(dirname(name))
    write(name, MODE.directory, new Uint8Array())
  }

  function add(name: string, from: string): void {
    if (statSync(from).isDirectory()) {
      addDirectory(name)
      for (const entry of readdirSync(from)) add(join(name, entry), join(from, entry))
      return
    }
    if (known.has(name)) return
    known.add(name)
    addDirectory(dirname(name))
    write(name, MODE.file, readFileSync(from))
  }

  return {
    add,
    addDirectory,
    addDevice(name, major, minor) {
      addDirectory(dirname(name))
      write(name, MODE.device, new Uint8Array(), [major, minor])
    },
    close() {
      write('TRAILER!!!', 0, new Uint8Array())
      closeSync(fd)
    },
  }
}
