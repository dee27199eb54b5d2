// Which options of the program the chart's users give in `config`.

import { optionNames, optionOf } from '../../../src/config/options.ts'

/** The chart sets these itself, or has another value for them. */
const own = /^(web\.(listen-address|config\.file)|path\.|netns$|collector\.|config\.file$)/

/** Options that mean nothing to a program that serves. */
export const commandLineOptions = optionNames.filter((name) => {
  const { flagOnly, commands } = optionOf(name)
  return flagOnly || (commands !== undefined && !commands.includes('serve'))
})

export const configOptions = optionNames.filter(
  (name) => !commandLineOptions.includes(name) && !own.test(name),
)
