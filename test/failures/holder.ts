// A process that records failed allocations until it is killed: `node --import tsx test/failures/holder.ts <tracefs>`.
// Prints where its instance is.

import { createInstanceName, holdInstance } from '../../src/failures/instance.ts'
import { openRecorder } from '../../src/failures/recorder.ts'

const [place = ''] = process.argv.slice(2)
const name = createInstanceName(process.pid)
const { instancePath } = openRecorder({ places: [place], name })
holdInstance(instancePath)
process.stdout.write(`${instancePath}\n`)
process.stdin.resume()
