// Loaded into the program by NODE_OPTIONS=--require: it never comes to listen, and says when it would have.
// Plain CommonJS, because that is what --require takes.

const { Server } = require('node:net')

Server.prototype.listen = function listen() {
  process.stderr.write('would listen\n')
  setInterval(() => {}, 1000)
  return this
}
