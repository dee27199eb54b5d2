// Ids as runtimes and API servers make them, for tests that need many of them.

import { randomBytes, randomUUID } from 'node:crypto'

/** 64 hexadecimal digits, as of a container. */
export function randomId(): string {
  return randomBytes(32).toString('hex')
}

/** Gives each id in a text, of a container or of a pod in whatever spelling, another of the same form wherever it stands. */
export function freshIds(text: string): string {
  const known = new Map<string, string>()
  const fresh = (old: string, make: () => string) => {
    const made = known.get(old) ?? make()
    known.set(old, made)
    return made
  }
  const hex = /[0-9a-f]{64}|[0-9a-f]{32}(?![0-9a-f])/g
  const uuid = /[0-9a-f]{8}([-_])(?:[0-9a-f]{4}\1){3}[0-9a-f]{12}/gi
  return text
    .replace(uuid, (old, separator: string) => {
      const plain = fresh(old.toLowerCase().replaceAll('_', '-'), randomUUID)
      const spelled = plain.replaceAll('-', separator)
      return old === old.toUpperCase() && /[A-F]/.test(old) ? spelled.toUpperCase() : spelled
    })
    .replace(hex, (old) => fresh(old, () => randomId().slice(0, old.length)))
}
