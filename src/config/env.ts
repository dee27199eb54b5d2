// Environment -> options as given, unparsed. Pure. A variable with our prefix that names no option is a problem.

import {
  envNameOf,
  envPrefix,
  type Given,
  optionNames,
  optionOf,
  type SourceText,
} from './options.ts'
import { quote, suggest } from './problem.ts'

/** An empty variable counts as not set, as in the rest of the Prometheus family. */
export function parseEnv(env: Readonly<Record<string, string | undefined>>): SourceText {
  const names = new Map(
    optionNames.filter((name) => !optionOf(name).flagOnly).map((name) => [envNameOf(name), name]),
  )
  const given: Given[] = []
  const problems: string[] = []
  for (const variable of Object.keys(env).sort()) {
    const text = env[variable] ?? ''
    if (!variable.startsWith(envPrefix)) continue
    const name = names.get(variable)
    if (name === undefined) {
      if (!isServiceLink(variable, text))
        problems.push(describeUnknown(variable, [...names.keys()]))
    } else if (text !== '') {
      const texts = optionOf(name).repeatable ? text.split(',').map((part) => part.trim()) : [text]
      given.push({ name, texts, origin: variable })
    }
  }
  return { given, problems }
}

// Kubernetes describes every Service of a namespace to its pods in variables named after the Service, so a Service
// called ephemeral-port-exporter (or ephemeral-port-exporter-something) writes into our prefix. These are no typing
// errors.
function isServiceLink(variable: string, text: string): boolean {
  const rest = variable.slice(envPrefix.length - 1)
  return (
    /_SERVICE_(HOST|PORT|PORT_\w+)$/.test(rest) ||
    /_PORT_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)$/.test(rest) ||
    (/_PORT(_\d+_(TCP|UDP|SCTP))?$/.test(rest) && /^(tcp|udp|sctp):\/\//.test(text))
  )
}

function describeUnknown(variable: string, known: readonly string[]): string {
  const suggestion = suggest(
    variable.slice(envPrefix.length),
    known.map((name) => name.slice(envPrefix.length)),
    { render: (name) => envPrefix + name },
  )
  return `Unknown variable ${/^\w+$/.test(variable) ? variable : quote(variable)}${suggestion}`
}
