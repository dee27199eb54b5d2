// A process of its own, to be started in a namespace: prints the rows that systeminformation lists there, or why it refuses.
// The argument is the port that it is to take for its own.

import { openSource } from '../../src/sources/sources.ts'
import { describeRows } from '../kernel/rows.ts'

const ownPort = Number(process.argv[2])
try {
  const options = { procfs: '/proc', platform: process.platform, everyNamespace: false, ownPort }
  const { source, refusals } = await openSource('systeminformation', options)
  const { batches } = await source.read()
  console.log(JSON.stringify({ reader: source.reader, refusals, rows: describeRows(batches) }))
} catch (error) {
  console.log(JSON.stringify({ failure: error instanceof Error ? error.message : String(error) }))
}
