// Errno name -> the closed set of reasons that the rest of the program knows.

import type { ReadErrorReason } from '../observation.ts'

/** Tells what a refused system call means to a reader of the metrics. */
export function errnoReason(code: string): ReadErrorReason {
  switch (code) {
    case 'EPERM':
    case 'EACCES':
      return 'permission'
    case 'EAGAIN':
    case 'ETIMEDOUT':
    case 'EINTR':
      return 'timeout'
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOMEM':
    case 'ENOBUFS':
      return 'exhausted'
    case 'ESRCH':
    case 'ENODEV':
      return 'vanished'
    default:
      return 'unsupported'
  }
}
