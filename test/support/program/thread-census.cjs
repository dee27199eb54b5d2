// Started by a test: a worker switches into another network namespace and uses fs.promises, dns and zlib for the first time
// there, then all threads are asked where they are. Plain CommonJS, because loading ES modules uses the thread pool.
// Arguments: pid in the other namespace, `warm` or `cold`, directory of the built program.

const { readdirSync, readlinkSync } = require('node:fs')
const { pathToFileURL } = require('node:url')
const { Worker } = require('node:worker_threads')

const [, , pid, mode, dist] = process.argv
const moduleOf = (path) => pathToFileURL(`${dist}/${path}`).href

/** Network namespaces of all threads, by thread. */
function takeCensus() {
  return Object.fromEntries(
    readdirSync('/proc/self/task').flatMap((tid) => {
      try {
        return [[tid, readlinkSync(`/proc/self/task/${tid}/ns/net`)]]
      } catch {
        return [] // it has ended
      }
    }),
  )
}

const INSIDE = `
  const fs = require('node:fs'), dns = require('node:dns'), zlib = require('node:zlib')
  const { workerData, parentPort } = require('node:worker_threads')
  function useEverything() {
    fs.promises.stat('/').catch(() => {})
    dns.lookup('localhost', () => {})
    zlib.gzip('text', () => {})
    parentPort.postMessage('inside')
    Atomics.wait(workerData.gate, 0, 0, 10000)
  }
`
const BY_PRODUCT = `${INSIDE}
  Promise.all([import(workerData.libc), import(workerData.netns)]).then(async ([{ openLibc }, { createEnterNamespace }]) => {
    createEnterNamespace(await openLibc())('/proc/' + workerData.pid + '/ns/net', useEverything)
    parentPort.postMessage('outside')
  })
`
// Without the product, which cannot be loaded without warming the pool.
const BY_HAND = `${INSIDE}
  const koffi = require('koffi')
  const setns = koffi.load(null).func('int setns(int, int)')
  const home = fs.openSync('/proc/thread-self/ns/net', 'r')
  setns(fs.openSync('/proc/' + workerData.pid + '/ns/net', 'r'), 0x40000000)
  useEverything()
  setns(home, 0x40000000)
  parentPort.postMessage('outside')
`

async function main() {
  if (mode === 'warm') {
    const { warmThreadPool } = await import(moduleOf('sampler/thread-pool.js'))
    await warmThreadPool()
  }
  const gate = new Int32Array(new SharedArrayBuffer(4))
  const workerData = {
    gate,
    pid,
    libc: moduleOf('kernel/libc.js'),
    netns: moduleOf('kernel/netns.js'),
  }
  const worker = new Worker(mode === 'warm' ? BY_PRODUCT : BY_HAND, { eval: true, workerData })
  const censuses = { before: takeCensus() }
  for (const expected of ['inside', 'outside']) {
    await new Promise((resolve, reject) => {
      worker.once('message', (said) => (said === expected ? resolve() : reject(new Error(said))))
      worker.once('error', reject)
    })
    // Time for the threads of the pool to be started and to do their work.
    await new Promise((resolve) => setTimeout(resolve, 300))
    censuses[expected] = takeCensus()
    Atomics.store(gate, 0, 1)
    Atomics.notify(gate, 0)
  }
  process.stdout.write(JSON.stringify(censuses))
  process.exit()
}

void main()
