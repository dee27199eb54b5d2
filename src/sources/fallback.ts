// Source where the kernel does not list TCP sockets over netlink, as without the module tcp_diag, although libc is
// there: the text in /proc of the namespace that the calling thread has entered, with that namespace's own settings. It
// tries netlink again now and then, since a module may be loaded later.

import type { Libc } from '../kernel/libc.ts'
import { DecodeError, SourceError } from '../observation.ts'
import { findOwnNamespace, openLoadedNetlink } from './netlink.ts'
import { openProcfsSource, readEnteredNamespace } from './procfs.ts'
import type { SourceOptions, SynchronousSource } from './source.ts'

/** Trying costs a few system calls. */
const RETRY_SECONDS = 60

/** Takes procfs as it is where libc cannot be loaded, or netlink never works. Throws as openProcfsSource() does. */
export async function openFallbackSource(
  options: SourceOptions,
  monotonicSeconds = () => performance.now() / 1000,
): Promise<SynchronousSource> {
  const procfs = openProcfsSource(options)
  const libc = await loadLibc(options)
  if (libc === undefined) return procfs
  let better: SynchronousSource | undefined
  let triedAtSeconds = monotonicSeconds()

  function tryNetlink(loaded: Libc): SynchronousSource | undefined {
    if (monotonicSeconds() - triedAtSeconds < RETRY_SECONDS) return undefined
    triedAtSeconds = monotonicSeconds()
    return attempt(() => openLoadedNetlink(loaded, options))
  }

  return {
    ...procfs,
    entersNamespaces: true,
    read() {
      better ??= tryNetlink(libc)
      return better === undefined ? { ...readEnteredNamespace(), canProbe: true } : better.read()
    },
  }
}

/** Undefined where it is missing, and where netlink could not list this namespace in any case. */
async function loadLibc(options: SourceOptions): Promise<Libc | undefined> {
  if (attempt(() => findOwnNamespace(options)) === undefined) return undefined
  try {
    return await options.openLibc?.()
  } catch {
    return undefined
  }
}

/** Undefined where the world refuses. */
function attempt<T>(call: () => T): T | undefined {
  try {
    return call()
  } catch (error) {
    if (error instanceof SourceError || error instanceof DecodeError) return undefined
    throw error
  }
}
