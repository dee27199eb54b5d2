import { expect, test } from 'vitest'
import { withholdUnknown } from '../../src/model/pool-history.ts'

const nothing = { riskRatio: undefined, etaSeconds: undefined }

test.each([
  [0.2, 30, { riskRatio: 0.2, etaSeconds: 30 }],
  [1, 0, { riskRatio: 1, etaSeconds: 0 }],
  [0.1999, 30, nothing],
  [undefined, undefined, nothing],
])('where sockets are not seen a risk of %s with an ETA of %s says %o', (risk, eta, told) => {
  const pool = { unusedPorts: 7, riskRatio: risk, etaSeconds: eta }
  expect(withholdUnknown(pool)).toEqual({ unusedPorts: undefined, ...told })
})
