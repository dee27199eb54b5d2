// Command: assembles /app of the image and says how large it is.
//   node deploy/image/build-tree.ts --out=DIR [--cpu=x64|arm64|amd64] [--libc=glibc|musl] [--revision=COMMIT]

import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Target } from './prune.ts'
import { assembleTree, measureTree } from './tree.ts'

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    cpu: { type: 'string', default: process.arch },
    libc: { type: 'string', default: 'glibc' },
    revision: { type: 'string' },
  },
})
if (values.out === undefined) throw new Error('Cannot build the tree without --out=DIR')

assembleTree({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  out: values.out,
  target: { cpu: parseCpu(values.cpu), libc: parseLibc(values.libc) },
  revision: values.revision === '' ? undefined : values.revision,
})
const { files, bytes, parts } = measureTree(values.out)
console.log(`${values.out}: ${files} files, ${megabytes(bytes)}`)
for (const { part, bytes } of parts.slice(0, 8)) console.log(`  ${megabytes(bytes)}  ${part}`)

/** Also Docker's word for it. */
function parseCpu(word: string): Target['cpu'] {
  if (word === 'amd64' || word === 'x64') return 'x64'
  if (word === 'arm64') return 'arm64'
  throw new Error(`Cannot build for the CPU ${JSON.stringify(word)}, only for x64 and arm64`)
}

function parseLibc(word: string): Target['libc'] {
  if (word === 'glibc' || word === 'musl') return word
  throw new Error(`Cannot build for the libc ${JSON.stringify(word)}, only for glibc and musl`)
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(2)} MB`
}
