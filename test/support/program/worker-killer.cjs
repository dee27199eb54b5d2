// Loaded into the program by NODE_OPTIONS=--require: its worker threads die as soon as the file FILE_THAT_KILLS exists, with
// KILLS=inside at the moment when they have entered a namespace and still have the file of it open, with KILLS=memory by
// filling their heap.
// Plain CommonJS, because that is what --require takes.

const fs = require('node:fs')
const { syncBuiltinESMExports } = require('node:module')
const { isMainThread } = require('node:worker_threads')

const { existsSync, rmSync, openSync, closeSync } = fs
const file = process.env.FILE_THAT_KILLS

function dieIfTold() {
  if (!existsSync(file)) return
  rmSync(file)
  process.exit(1) // of this thread
}

/** Whoever enters opens /proc/<pid>/ns/net, calls setns() and closes it. */
function dieInside() {
  let entered
  fs.openSync = (path, ...rest) => {
    const fd = openSync(path, ...rest)
    if (/\/\d+\/ns\/net$/.test(path)) entered = fd
    return fd
  }
  fs.closeSync = (fd) => {
    if (fd === entered) dieIfTold()
    closeSync(fd)
  }
  syncBuiltinESMExports()
}

/** Many tables, none of them large, until there is no heap left. */
function fillHeapIfTold() {
  if (!existsSync(file)) return
  rmSync(file)
  const kept = []
  for (;;) kept.push(new Array(1000).fill(kept.length))
}

if (!isMainThread) {
  if (process.env.KILLS === 'inside') dieInside()
  else setInterval(process.env.KILLS === 'memory' ? fillHeapIfTold : dieIfTold, 10).unref()
}
