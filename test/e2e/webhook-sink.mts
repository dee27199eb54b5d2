// A program that takes Alertmanager's notifications and prints each body as one line: `node webhook-sink.mts PORT`, run by tsx.

import { createServer } from 'node:http'

createServer((request, response) => {
  const parts: Buffer[] = []
  request.on('data', (part: Buffer) => parts.push(part))
  request.on('end', () => {
    process.stdout.write(`${JSON.stringify(JSON.parse(Buffer.concat(parts).toString()))}\n`)
    response.end()
  })
}).listen(Number(process.argv[2]), '127.0.0.1', () => process.stdout.write('ready\n'))
