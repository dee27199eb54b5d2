// Gives a network namespace a name as iproute2 does: a file in /run/netns with the namespace mounted on it.

import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const DIRECTORY = '/run/netns'
const MS_BIND = 4096
const MNT_DETACH = 2

/** Names the namespace of that process, and takes the name away again whatever happens. */
export async function withNamedNetns<T>(
  pid: number,
  use: (name: string) => Promise<T>,
  name = `test-${randomBytes(4).toString('hex')}`,
): Promise<T> {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
  const library = koffi.load(null)
  const mount = library.func(
    'int mount(const char *, const char *, const char *, unsigned long, const void *)',
  )
  const unmount = library.func('int umount2(const char *, int)')

  const file = `${DIRECTORY}/${name}`
  if (!existsSync(DIRECTORY)) mkdirSync(DIRECTORY, { recursive: true })
  writeFileSync(file, '')
  try {
    if (mount(`/proc/${pid}/ns/net`, file, 'none', MS_BIND, null) !== 0) {
      throw new Error(`Cannot mount a namespace on ${file}: errno ${koffi.errno()}`)
    }
    return await use(name)
  } finally {
    unmount(file, MNT_DETACH)
    rmSync(file)
  }
}
