// Runs a synchronous function as a user who may not read files of mode 0.

const NOBODY = 65534

export function asNobody<T>(call: () => T): T {
  if (process.getuid?.() !== 0) return call()
  process.seteuid?.(NOBODY)
  try {
    return call()
  } finally {
    process.seteuid?.(0)
  }
}
