import { expect, test } from 'vitest'
import { errnoReason } from '../../src/kernel/errno.ts'

test.each([
  ['permission', ['EPERM', 'EACCES']],
  ['timeout', ['EAGAIN', 'ETIMEDOUT', 'EINTR']],
  ['exhausted', ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS']],
  ['vanished', ['ESRCH', 'ENODEV']],
  ['unsupported', ['EOPNOTSUPP', 'ENOENT', 'EINVAL', 'errno 512']],
])('errnoReason() is %s for %j', (reason, codes) => {
  expect(codes.map(errnoReason)).toEqual(codes.map(() => reason))
})
