// Rules that live faster: every duration of a rule file divided by one number, so that a test need not wait for hours.
// What is compared with a metric in seconds (ages, ETAs) is no duration of the rule and stays.

import { secondsOf } from './durations.ts'
import type { Rule, RuleFile } from './rules-files.ts'

export function makeFaster(file: RuleFile, factor: number): RuleFile {
  return {
    groups: file.groups.map((group) => ({
      ...group,
      rules: group.rules.map((rule) => makeRuleFaster(rule, factor)),
    })),
  }
}

function makeRuleFaster(rule: Rule, factor: number): Rule {
  const { for: wait, keep_firing_for: keep } = rule
  return {
    ...rule,
    expr: rule.expr.replace(
      /([[:]|\boffset )(\d+[smhd])\b/g,
      (_, before: string, duration: string) => before + divide(duration, factor),
    ),
    ...(wait === undefined ? {} : { for: divide(wait, factor) }),
    ...(keep === undefined ? {} : { keep_firing_for: divide(keep, factor) }),
  }
}

/** `15m` by 60 is `15000ms`. */
export function divide(duration: string, factor: number): string {
  const ms = (secondsOf(duration) * 1000) / factor
  if (!Number.isInteger(ms)) throw new Error(`Cannot divide ${duration} by ${factor}`)
  return `${ms}ms`
}
