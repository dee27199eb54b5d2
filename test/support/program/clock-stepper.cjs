// Loaded into the program by NODE_OPTIONS=--require: its clock on the wall is ahead by as many seconds as the file
// CLOCK_IS_AHEAD says, in every thread. The clocks that never step are left alone, as the kernel leaves them.
// Plain CommonJS, because that is what --require takes.

const { readFileSync } = require('node:fs')

const now = Date.now
const file = process.env.CLOCK_IS_AHEAD

Date.now = () => now() + 1000 * Number(readFileSync(file, 'latin1'))
