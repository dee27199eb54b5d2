// Loaded into the program by NODE_OPTIONS=--require: its worker threads die as soon as the file FILE_THAT_KILLS exists.
// Plain CommonJS, because that is what --require takes.

const { existsSync, rmSync } = require('node:fs')
const { isMainThread } = require('node:worker_threads')

const file = process.env.FILE_THAT_KILLS

function dieIfTold() {
  if (!existsSync(file)) return
  rmSync(file)
  process.exit(1) // of this thread
}

if (!isMainThread) setInterval(dieIfTold, 10).unref()
