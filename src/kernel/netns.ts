// Network namespaces: a file that stands for one -> a function run inside it, by setns(2), which moves the calling
// thread alone (kernel/nsproxy.c). What is run must be synchronous: koffi and synchronous fs on /proc/thread-self only.

import { closeSync, openSync } from 'node:fs'
import { type Libc, SystemError } from './libc.ts'
import { refusal } from './proc-file.ts'
import { refusable } from './refused-call.ts'

/**
 * Runs `call` in the namespace behind `path`. Throws SourceError when it cannot be entered; what `call` throws passes.
 */
export type EnterNamespace = <T>(path: string, call: () => T) => T

const OWN_NAMESPACE = '/proc/thread-self/ns/net'
const AF_NETLINK = 16
const SOCK_RAW = 3
const NETLINK_SOCK_DIAG = 4
const SOL_SOCKET = 1
/** include/uapi/asm-generic/socket.h, Linux 5.14. */
const SO_NETNS_COOKIE = 71

/** Creates the way in for the calling thread. It keeps one descriptor, that of the thread's own namespace. */
export function createEnterNamespace(libc: Libc): EnterNamespace {
  const home = openSync(OWN_NAMESPACE, 'r')
  return (path, call) => {
    enter(libc, path)
    try {
      return call()
    } finally {
      // Not a SourceError: a thread that cannot go home must end.
      libc.setns(home)
    }
  }
}

/** The descriptor is closed at once: an open one would keep the namespace alive. */
function enter(libc: Libc, path: string): void {
  const fd = openNamespace(path)
  try {
    refusable(`Cannot enter ${path}`, () => libc.setns(fd))
  } finally {
    closeSync(fd)
  }
}

function openNamespace(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (error) {
    throw refusal(`open ${path}`, error, 'vanished')
  }
}

/**
 * What no other namespace of this boot has ever had or will have; undefined where the kernel does not tell. Of the
 * namespace the calling thread is in. Throws SourceError.
 */
export function readNamespaceCookie(libc: Libc): bigint | undefined {
  const fd = openSocket(libc)
  try {
    const value = libc.getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, 8)
    return new DataView(value.buffer, value.byteOffset).getBigUint64(0, true)
  } catch (error) {
    if (error instanceof SystemError) return undefined
    throw error
  } finally {
    libc.close(fd)
  }
}

function openSocket(libc: Libc): number {
  return refusable('Cannot tell network namespaces apart', () =>
    libc.socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG),
  )
}
